"""The daemon itself, its networks, and what docker has no word for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ireko.host.files import disk_bytes

from .conftest import Daemon, Http


class TestSystem:
    async def test_version(self, http: Http) -> None:
        found = (await http("GET", "/version")).body
        assert found.keys() >= {"Version", "ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion", "GoVersion"}
        engine, driver = found["Components"]
        assert (engine["Name"], engine["Version"]) == ("Engine", found["Version"])
        assert engine["Details"]["Experimental"] == "false"
        assert (driver["Name"], driver["Details"]) == ("fake", {"Accelerator": "fake"})

    async def test_info(self, http: Http) -> None:
        await http.create("true")
        paused = await http.run("sleep", "1000")
        await http("POST", f"/containers/{paused}/pause")
        await http.run("sleep", "1000")
        found = (await http("GET", "/info")).body
        counts = ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images")
        assert [found[name] for name in counts] == [3, 1, 1, 1, 1]
        assert found["OSType"] == "linux"
        assert found["NCPU"] > 0
        assert found["MemTotal"] > 0
        assert found["Swarm"]["LocalNodeState"] == "inactive"
        assert ["Accelerator", "fake"] in found["DriverStatus"]
        assert found["ID"] == (await http("GET", "/info")).body["ID"]

    async def test_what_takes_which_space(self, http: Http) -> None:
        await http.create("true", HostConfig={"Binds": ["data:/d"]})
        found = (await http("GET", "/system/df")).body
        (image,), (container,), (volume,) = found["Images"], found["Containers"], found["Volumes"]
        assert (image["Containers"], image["SharedSize"]) == (1, 0)
        assert found["LayersSize"] == image["Size"]
        assert found["LayersReclaimable"] == 0
        assert container["SizeRw"] < container["SizeRootFs"]
        assert volume["UsageData"]["RefCount"] == 1
        assert volume["UsageData"]["Size"] > 0
        assert found["BuildCache"] == []

    async def test_what_lies_beside(self, http: Http, daemon: Daemon) -> None:
        root = daemon.engine.system.root()
        (root / "lost/old").mkdir(parents=True)
        (root / "lost/old/disk.qcow2").write_bytes(b"x" * 8192)
        found = (await http("GET", "/system/df")).body["Beside"]
        assert found["Kernels"] == sum(disk_bytes(path) for path in (root / "boot").rglob("*") if path.is_file()) > 0
        assert found["Lost"] == disk_bytes(root / "lost/old/disk.qcow2")

    async def test_only_the_space_that_was_asked_for(self, http: Http) -> None:
        await http.create("true", HostConfig={"Binds": ["data:/d"]})
        found = (await http("GET", "/system/df?type=volume&type=container")).body
        assert (len(found["Images"]), len(found["Containers"]), len(found["Volumes"])) == (0, 1, 1)

    async def test_what_images_nobody_uses_would_give_back(self, http: Http) -> None:
        before = (await http("GET", "/system/df")).body
        assert before["LayersReclaimable"] == before["LayersSize"] > 0
        ref = await http.create("true")
        await http("POST", "/commit", None, container=ref, repo="web")
        after = (await http("GET", "/system/df")).body
        # the container stands on both layers now
        assert (after["LayersReclaimable"], after["LayersSize"] > before["LayersSize"]) == (0, True)
        assert after["LayersSize"] == max(image["Size"] for image in after["Images"])

    async def test_there_is_no_build_cache(self, http: Http) -> None:
        assert (await http("POST", "/build/prune")).body == {"CachesDeleted": None, "SpaceReclaimed": 0}


class TestNetworks:
    @pytest.mark.parametrize(
        ("filters", "shown"),
        [
            ({}, ["bridge", "none"]),
            ({"name": ["brid"]}, ["bridge"]),
            ({"driver": ["null"]}, ["none"]),
            ({"type": ["custom"]}, []),
            ({"dangling": ["true"]}, []),
            ({"label": ["k"]}, []),
        ],
    )
    async def test_list(self, http: Http, filters: dict[str, list[str]], shown: list[str]) -> None:
        answered = await http("GET", "/networks", None, filters=json.dumps(filters))
        assert [each["Name"] for each in answered.body] == shown

    async def test_who_is_on_one(self, http: Http) -> None:
        ref = await http.run("sleep", "1000", name="web")
        await http.create("true")
        found = (await http("GET", "/networks/bridge")).body
        assert {key: each["Name"] for key, each in found["Containers"].items()} == {ref: "web"}
        assert (await http("GET", f"/networks/{found['Id'][:8]}")).body == found
        assert (await http("GET", "/networks/nowhere")).status == 404

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/networks/create"), ("DELETE", "/networks/bridge"),
            ("POST", "/networks/bridge/connect"), ("POST", "/networks/bridge/disconnect"),
        ],
    )  # fmt: skip
    async def test_none_can_be_changed(self, http: Http, method: str, path: str) -> None:
        answered = await http(method, path, {"Name": "mine"})
        assert answered.status == 501
        assert answered.body["message"].startswith("networks can't be made or changed yet")

    async def test_prune(self, http: Http) -> None:
        assert (await http("POST", "/networks/prune")).body == {"NetworksDeleted": None}


class TestOurs:
    async def test_tree(self, http: Http) -> None:
        ref = await http.create("true", name="web")
        await http("POST", "/commit", None, container=ref, repo="site")
        await http.create("true", name="db", image="site")
        (base,) = (await http("GET", "/ireko/tree")).body
        shown = self.outline(base)
        assert shown == ("layer", (), [
            ("image", ("nano:latest",), []),
            ("layer", (), [("image", ("site:latest",), [("container", ("db",), [])]), ("container", ("web",), [])]),
        ])  # fmt: skip

    def outline(self, node: dict[str, Any]) -> tuple[str, tuple[str, ...], list[Any]]:
        assert node["Size"] > 0
        return node["Kind"], tuple(node["Names"]), [self.outline(child) for child in node["Children"]]

    async def test_recreate(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "touch /srv/new; sleep 1000", name="web", Labels={"k": "v"})
        answered = await http("POST", "/ireko/containers/web/recreate")
        assert answered.status == 200
        assert answered.body["Name"] == "web"
        assert answered.body["Id"] != ref
        found = (await http("GET", "/containers/web/json")).body
        assert (found["Id"], found["State"]["Status"]) == (answered.body["Id"], "running")
        assert found["Config"]["Labels"] == {"k": "v"}
        assert (await http("POST", "/ireko/containers/nobody/recreate")).status == 404

    async def test_recipes(self, http: Http) -> None:
        found = (await http("GET", "/ireko/recipes")).body
        assert {each["Name"]: each["References"] for each in found} == {
            "nano": ["nano:latest"],
            "debian": ["debian:latest", "debian:12"],
        }
        assert all(each["Description"] for each in found)

    async def test_make_an_image(self, http: Http) -> None:
        async with http.session.post("http://d/ireko/images/make?recipe=nano&tag=mine:1") as response:
            lines = [json.loads(line) async for line in response.content]
        identifier = (await http("GET", "/images/mine:1/json")).body["Id"]
        assert lines[-2:] == [{"status": f"made {identifier[7:19]}"}, {"aux": {"ID": identifier}}]
        assert {"status", "progressDetail", "id"} == lines[0].keys()

    async def test_a_recipe_that_fails_says_so_in_the_last_line(self, http: Http) -> None:
        async with http.session.post("http://d/ireko/images/make?recipe=nothing") as response:
            assert response.status == 200
            (line,) = [json.loads(line) async for line in response.content]
        assert line["error"] == 'there is no recipe "nothing"'
        assert line["errorDetail"] == {"code": 404, "message": line["error"]}
        assert line["hint"] == "known: nano, debian"

    async def test_what_can_t_be_made(self, http: Http) -> None:
        assert (await http("POST", "/ireko/images/make")).status == 400
        assert (await http("POST", "/ireko/images/make", None, recipe="nano", tag="UPPER")).status == 400
        async with http.session.post("http://d/ireko/images/make?recipe=x", data=b"\xff") as response:
            assert response.status == 400

    async def test_doctor(self, http: Http) -> None:
        found = (await http("GET", "/ireko/doctor")).body
        assert {"disk space", "permissions", "layers"} <= {each["Name"] for each in found}
        assert {each["Level"] for each in found} <= {"ok", "warning", "error"}
        assert all(each["Found"] for each in found)

    async def test_stop(self, daemon: Daemon, http: Http) -> None:
        assert (await http("POST", "/ireko/stop")).status == 204
        assert daemon.stopped.is_set()
