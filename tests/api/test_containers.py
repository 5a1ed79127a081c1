"""Containers: listed, made, looked at, thrown away."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .conftest import Daemon, Http

ID = re.compile(r"[0-9a-f]{64}")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NEVER = "0001-01-01T00:00:00Z"


class TestCreate:
    async def test_what_is_answered(self, http: Http) -> None:
        answered = await http("POST", "/containers/create", {"Image": "nano", "Cmd": ["true"]}, name="web")
        assert answered.status == 201
        assert ID.fullmatch(answered.body["Id"])
        assert answered.body["Warnings"] == []

    async def test_without_a_name_it_gets_one(self, http: Http) -> None:
        ref = await http.create("true")
        assert re.fullmatch(r"/[a-z]+_[a-z]+", (await http("GET", f"/containers/{ref}/json")).body["Name"])

    async def test_what_was_asked_for_is_shown(self, http: Http) -> None:
        ref = await http.create(
            "echo", "a b", name="web", User="nobody", WorkingDir="/srv", Env=["A=b"], Labels={"k": "v"}, Hostname="box",
            Tty=True, OpenStdin=True, StopSignal="SIGINT", StopTimeout=3, ExposedPorts={"80": {}}, Volumes={"/data": {}},
            HostConfig={"Memory": 64 << 20, "NanoCpus": 2_000_000_000, "RestartPolicy": {"Name": "always"},
                        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}]}, "Binds": ["kept:/k:ro"]},
        )  # fmt: skip
        found = (await http("GET", f"/containers/{ref}/json")).body
        config, host = found["Config"], found["HostConfig"]
        assert (config["User"], config["WorkingDir"], config["Hostname"]) == ("nobody", "/srv", "box")
        assert (config["Cmd"], config["Entrypoint"], config["Image"]) == (["echo", "a b"], None, "nano")
        assert (config["Env"], config["Labels"]) == (["A=b"], {"k": "v"})
        assert (config["Tty"], config["OpenStdin"], config["StopSignal"], config["StopTimeout"]) == (
            True,
            True,
            "SIGINT",
            3,
        )
        assert config["ExposedPorts"] == {"80/tcp": {}}
        assert config["Volumes"] == {"/data": {}}
        assert (host["Memory"], host["NanoCpus"]) == (64 << 20, 2_000_000_000)
        assert host["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
        assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}]}
        assert host["Binds"] == ["kept:/k:ro"]
        assert [(m["Type"], m["Destination"], m["RW"]) for m in found["Mounts"]] == [
            ("volume", "/k", False),
            ("volume", "/data", True),
        ]

    @pytest.mark.parametrize(
        ("body", "status", "said"),
        [
            ({}, 400, "no image was named"),
            ({"Image": "nobody"}, 404, "No such image: nobody:latest"),
            ({"Image": "NANO"}, 400, "invalid reference format"),
            ({"Image": "nano", "WorkingDir": "srv"}, 400, "srv"),
            ({"Image": "nano", "ExposedPorts": {"x": {}}}, 400, 'invalid port "x"'),
            ({"Image": "nano", "ExposedPorts": {"\u00b2": {}}}, 400, 'invalid port "\u00b2"'),
            ({"Image": "nano", "ExposedPorts": {"8" * 5000: {}}}, 400, "invalid port"),
            ({"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-size": "9" * 400}}}}, 400, "max-size"),
            ({"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-file": "9" * 5000}}}}, 400, "max-file"),
            ({"Image": "nano", "HostConfig": {"Memory": -1}}, 400, "it can't be negative"),
            (
                {"Image": "nano", "HostConfig": {"RestartPolicy": {"Name": "often"}}},
                400,
                'invalid restart policy "often"',
            ),
            (
                {"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-size": "0"}}}},
                400,
                'invalid max-size "0"',
            ),
            (
                {"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-size": "-1"}}}},
                400,
                'invalid max-size "-1"',
            ),
            ({"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-size": "9999p"}}}}, 400, "max-size"),
            (
                {"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"max-file": "0"}}}},
                400,
                'invalid max-file "0"',
            ),
            ({"Image": "nano", "HostConfig": {"LogConfig": {"Config": {"size": "1"}}}}, 400, "unknown log opt 'size'"),
            ({"Image": "nano", "HostConfig": {"NetworkMode": "mine"}}, 404, "network mine not found"),
            ({"Image": "nano", "HostConfig": {"NetworkMode": "host"}}, 501, 'the network mode "host" is not supported'),
            ({"Image": "nano", "HostConfig": {"Devices": [{}]}}, 501, "--device is not supported"),
            ({"Image": "nano", "HostConfig": {"Links": ["a:b"]}}, 501, "--link is not supported"),
            ({"Image": "nano", "HostConfig": {"PidMode": "host"}}, 501, "--pid host is not supported"),
            ({"Image": "nano", "HostConfig": {"Binds": ["aa:/b:xx"]}}, 400, "invalid mode: xx"),
            (
                {"Image": "nano", "HostConfig": {"Binds": ["/no/such/folder:/b"]}},
                400,
                "bind source path does not exist",
            ),
            ({"Image": "nano", "HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/x"}]}}, 501, '"tmpfs"'),
            ({"Image": "nano", "HostConfig": {"Binds": ["aa:/b", "cc:/b"]}}, 400, "Duplicate mount point: /b"),
        ],
    )
    async def test_what_is_refused(self, http: Http, body: dict[str, Any], status: int, said: str) -> None:
        answered = await http("POST", "/containers/create", body)
        assert answered.status == status
        assert said in answered.body["message"]
        assert (await http("GET", "/containers/json", all="1")).body == []
        assert (await http("GET", "/volumes")).body["Volumes"] == []

    async def test_names(self, http: Http) -> None:
        ref = await http.create("true", name="web")
        taken = await http("POST", "/containers/create", {"Image": "nano"}, name="web")
        assert taken.status == 409
        assert f'"/web" is already in use by container "{ref}"' in taken.body["message"]
        assert taken.body["hint"] == "ireko rm web"
        for wrong in ("-", "a", "a b", "ü1"):
            assert (await http("POST", "/containers/create", {"Image": "nano"}, name=wrong)).status == 400

    async def test_what_is_not_heeded_is_said(self, http: Http) -> None:
        host = {"ReadonlyRootfs": True, "Tmpfs": {"/x": ""}, "Dns": ["192.0.2.1"], "ExtraHosts": ["a:192.0.2.1"]}
        body = {"Image": "nano", "HostConfig": host, "Healthcheck": {"Test": ["CMD", "true"]}}
        warnings = (await http("POST", "/containers/create", body)).body["Warnings"]
        assert len(warnings) == 5

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            (None, {"max-size": "100m", "max-file": "1"}),
            ({"Type": "", "Config": {}}, {"max-size": "100m", "max-file": "1"}),
            (
                {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
                {"max-size": "10m", "max-file": "3"},
            ),
            ({"Config": {"max-size": "1.5G", "compress": "true"}}, {"max-size": "1500m", "max-file": "1"}),
            ({"Type": "local", "Config": {"max-size": "64kb"}}, {"max-size": "64k", "max-file": "1"}),
            ({"Config": {"max-size": "1001"}}, {"max-size": "1001", "max-file": "1"}),
        ],
    )
    async def test_how_much_output_is_kept(self, http: Http, asked: object, shown: object) -> None:
        answered = await http("POST", "/containers/create", {"Image": "nano", "HostConfig": {"LogConfig": asked}})
        assert answered.body["Warnings"] == []
        found = (await http("GET", f"/containers/{answered.body['Id']}/json")).body
        assert found["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": shown}

    async def test_other_log_drivers_are_warned_of(self, http: Http) -> None:
        log = {"Type": "syslog", "Config": {"syslog-address": "udp://192.0.2.1"}}
        answered = await http("POST", "/containers/create", {"Image": "nano", "HostConfig": {"LogConfig": log}})
        (warning,) = answered.body["Warnings"]
        assert warning.startswith("--log-driver syslog is ignored")


class TestList:
    async def test_a_row(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "sleep 1000", name="web", Labels={"k": "v"}, ExposedPorts={"53/udp": {}})
        (row,) = (await http("GET", "/containers/json")).body
        assert row["Id"] == ref
        assert (row["Names"], row["Image"], row["Command"]) == (["/web"], "nano", "sh -c 'sleep 1000'")
        assert row["ImageID"].startswith("sha256:")
        assert (row["State"], row["Status"]) == ("running", "Up Less than a second")
        assert isinstance(row["Created"], int)
        assert row["Ports"] == [{"PrivatePort": 53, "Type": "udp"}]
        assert (row["Labels"], row["Mounts"]) == ({"k": "v"}, [])
        assert row["HostConfig"] == {"NetworkMode": "bridge"}
        assert list(row["NetworkSettings"]["Networks"]) == ["bridge"]
        assert "SizeRw" not in row

    async def test_sizes(self, http: Http) -> None:
        await http.create("true")
        (row,) = (await http("GET", "/containers/json", all="1", size="1")).body
        assert 0 < row["SizeRw"] < row["SizeRootFs"]

    async def test_which_ones(self, http: Http) -> None:
        made = [await http.create("true") for _ in range(3)]
        running = await http.run("sleep", "1000")
        everything = [running, *reversed(made)]

        async def listed(**query: str) -> list[str]:
            return [row["Id"] for row in (await http("GET", "/containers/json", **query)).body]

        assert await listed() == [running]
        assert await listed(all="1") == everything
        assert await listed(limit="2") == everything[:2]
        assert await listed(limit="0") == [running]
        assert await listed(all="1", limit="-1") == everything

    @pytest.mark.parametrize(
        ("filters", "shown"),
        [
            ({"name": ["^/web$"]}, ["web"]),
            ({"name": ["b"]}, ["db", "web"]),
            ({"label": ["tier"]}, ["db", "web"]),
            ({"label": ["tier=web"]}, ["web"]),
            ({"label": ["tier", "tier=db"]}, ["db"]),
            ({"status": ["created"]}, ["web"]),
            ({"status": ["created", "exited"]}, ["db", "web"]),
            ({"exited": ["0"]}, ["db"]),
            ({"ancestor": ["nano"]}, ["db", "web"]),
            ({"ancestor": ["nobody"]}, []),
            ({"before": ["db"]}, ["web"]),
            ({"since": ["web"]}, ["db"]),
            ({"publish": ["80"]}, ["web"]),
            ({"publish": ["70-90/tcp"]}, ["web"]),
            ({"expose": ["81"]}, []),
            ({"volume": ["kept"]}, ["db"]),
            ({"volume": ["/k"]}, ["db"]),
            ({"network": ["none"]}, ["db"]),
            ({"health": ["none"]}, ["db", "web"]),
            ({"is-task": ["true"]}, []),
            ({"name": ["web"], "status": ["exited"]}, []),
        ],
    )
    async def test_filters(self, http: Http, filters: dict[str, list[str]], shown: list[str]) -> None:
        ports = {"PortBindings": {"80/tcp": [{"HostPort": "18082"}]}}
        await http.create("true", name="web", Labels={"tier": "web"}, HostConfig=ports)
        other = {"Binds": ["kept:/k"], "NetworkMode": "none"}
        await http.run("true", name="db", Labels={"tier": "db"}, HostConfig=other)
        await http("POST", "/containers/db/wait")
        answered = await http("GET", "/containers/json", all="1", filters=json.dumps(filters))
        assert [row["Names"][0] for row in answered.body] == [f"/{name}" for name in shown]

    @pytest.mark.parametrize(
        ("filters", "status"),
        [
            ({"colour": ["red"]}, 400),
            ({"status": ["tired"]}, 400),
            ({"exited": ["x"]}, 400),
            ({"exited": ["\u00b2"]}, 400),
            ({"exited": ["1" * 5000]}, 400),
            ({"publish": ["\u00b2"]}, 400),
            ({"publish": ["1-99999999999"]}, 400),
            ({"name": ["("]}, 400),
            ({"before": ["nobody"]}, 404),
            ({"publish": ["x"]}, 400),
        ],
    )
    async def test_filters_that_make_no_sense(self, http: Http, filters: dict[str, list[str]], status: int) -> None:
        assert (await http("GET", "/containers/json", filters=json.dumps(filters))).status == status


class TestInspect:
    async def test_a_fresh_one(self, http: Http) -> None:
        ref = await http.create("sleep", "1000", name="web")
        found = (await http("GET", "/containers/web/json")).body
        assert (found["Id"], found["Name"], found["Path"], found["Args"]) == (ref, "/web", "sleep", ["1000"])
        assert DATE.fullmatch(found["Created"])
        assert found["State"] == {
            "Status": "created", "Running": False, "Paused": False, "Restarting": False, "OOMKilled": False, "Dead": False,
            "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": NEVER, "FinishedAt": NEVER,
        }  # fmt: skip
        assert found["Config"]["Hostname"] == ref[:12]
        assert found["NetworkSettings"]["Ports"] == {}
        assert "SizeRw" not in found

    async def test_one_that_runs(self, http: Http) -> None:
        bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
        ref = await http.run("sleep", "1000", HostConfig={"PortBindings": bindings})
        found = (await http("GET", f"/containers/{ref}/json", size="1")).body
        assert (found["State"]["Status"], found["State"]["Running"]) == ("running", True)
        assert DATE.fullmatch(found["State"]["StartedAt"])
        ((binding,),) = found["NetworkSettings"]["Ports"].values()
        assert binding["HostIp"] == "127.0.0.1"
        assert int(binding["HostPort"]) > 0
        assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == found["NetworkSettings"]["IPAddress"]
        assert found["SizeRw"] < found["SizeRootFs"]

    async def test_how_it_ended(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "exit 3")
        await http("POST", f"/containers/{ref}/wait")
        state = (await http("GET", f"/containers/{ref}/json")).body["State"]
        assert (state["Status"], state["Running"], state["ExitCode"]) == ("exited", False, 3)
        assert DATE.fullmatch(state["FinishedAt"])

    async def test_by_the_beginning_of_an_id(self, http: Http) -> None:
        ref = await http.create("true")
        assert (await http("GET", f"/containers/{ref[:12]}/json")).body["Id"] == ref
        made = [ref, *[await http.create("true") for _ in range(16)]]
        twice = next(each[0] for each in made if sum(other[0] == each[0] for other in made) > 1)
        answered = await http("GET", f"/containers/{twice}/json")
        assert answered.status == 400
        assert "is the beginning of" in answered.body["message"]


class TestRename:
    async def test_it_has_another_name(self, http: Http) -> None:
        ref = await http.create("true", name="web")
        assert (await http("POST", "/containers/web/rename", name="site")).status == 204
        assert (await http("GET", "/containers/site/json")).body["Id"] == ref
        assert (await http("GET", "/containers/web/json")).status == 404

    async def test_what_is_refused(self, http: Http) -> None:
        await http.create("true", name="web")
        await http.create("true", name="db")
        assert (await http("POST", "/containers/web/rename", name="db")).status == 409
        assert (await http("POST", "/containers/web/rename", name="-")).status == 400
        assert (await http("POST", "/containers/web/rename")).status == 400


class TestRemove:
    async def test_it_is_gone(self, http: Http) -> None:
        ref = await http.create("true")
        assert (await http("DELETE", f"/containers/{ref}")).status == 204
        assert (await http("GET", f"/containers/{ref}/json")).status == 404
        assert (await http("DELETE", f"/containers/{ref}")).status == 404

    async def test_one_that_runs_must_be_forced(self, http: Http) -> None:
        ref = await http.run("sleep", "1000")
        answered = await http("DELETE", f"/containers/{ref}")
        assert answered.status == 409
        assert "stop the container before removing or force remove" in answered.body["message"]
        assert (await http("DELETE", f"/containers/{ref}", force="1")).status == 204

    async def test_volumes_without_a_name(self, http: Http) -> None:
        kept, thrown = [await http.create("true", Volumes={"/d": {}}) for _ in range(2)]
        await http("DELETE", f"/containers/{kept}")
        await http("DELETE", f"/containers/{thrown}", v="1")
        assert len((await http("GET", "/volumes")).body["Volumes"]) == 1


class TestInside:
    async def test_top(self, http: Http) -> None:
        ref = await http.run("sleep", "1000")
        found = (await http("GET", f"/containers/{ref}/top")).body
        assert found["Titles"][0] == "PID"
        assert any(row[-1] == "sleep 1000" for row in found["Processes"])
        assert all(len(row) == len(found["Titles"]) for row in found["Processes"])

    async def test_top_of_one_that_does_not_run(self, http: Http) -> None:
        ref = await http.create("true")
        answered = await http("GET", f"/containers/{ref}/top")
        assert (answered.status, answered.body["message"]) == (409, f"Container {ref[:12]} is not running")

    async def test_changes(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "touch /srv/new; rm /etc/hostname; echo x >> /etc/passwd")
        await http("POST", f"/containers/{ref}/wait")
        found = {each["Path"]: each["Kind"] for each in (await http("GET", f"/containers/{ref}/changes")).body}
        assert found == {"/etc": 0, "/etc/hostname": 2, "/etc/passwd": 0, "/srv": 0, "/srv/new": 1}
        fresh = await http.create("true")
        assert (await http("GET", f"/containers/{fresh}/changes")).body == []


class TestCommit:
    async def test_an_image(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "echo kept > /srv/file", Env=["A=b"])
        await http("POST", f"/containers/{ref}/wait")
        body = {"Cmd": ["cat", "/srv/file"], "Labels": {"k": "v w"}, "ExposedPorts": {"80/tcp": {}}}
        query = {"container": ref, "repo": "web", "tag": "1", "author": "me", "comment": "note", "changes": "ENV C=d"}
        answered = await http("POST", "/commit", body, **query)
        assert answered.status == 201
        found = (await http("GET", "/images/web:1/json")).body
        assert found["Id"] == answered.body["Id"]
        assert (found["Author"], found["Comment"], found["RepoTags"]) == ("me", "note", ["web:1"])
        config = found["Config"]
        assert (config["Cmd"], config["Labels"], config["Env"]) == (["cat", "/srv/file"], {"k": "v w"}, ["A=b", "C=d"])
        assert config["ExposedPorts"] == {"80/tcp": {}}
        assert await http.output(await http.run(image="web:1")) == "kept\n"

    async def test_without_a_name(self, http: Http) -> None:
        ref = await http.create("true")
        made = (await http("POST", "/commit", container=ref)).body["Id"]
        assert (await http("GET", f"/images/{made}/json")).body["RepoTags"] == []

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"container": "nobody"}, 404),
            ({"container": "web", "repo": "UPPER"}, 400),
            ({"container": "web", "changes": "RUN make"}, 400),
            ({"container": "web", "changes": "CMD [1"}, 400),
            ({}, 404),
        ],
    )
    async def test_what_is_refused(self, http: Http, query: dict[str, str], status: int) -> None:
        await http.create("true", name="web")
        before = (await http("GET", "/images/json")).body
        assert (await http("POST", "/commit", **query)).status == status
        assert (await http("GET", "/images/json")).body == before


class TestPrune:
    async def test_those_that_do_not_run(self, http: Http) -> None:
        made = [await http.create("true"), await http.create("true")]
        running = await http.run("sleep", "1000")
        answered = await http("POST", "/containers/prune")
        assert answered.status == 200
        assert sorted(answered.body["ContainersDeleted"]) == sorted(made)
        assert answered.body["SpaceReclaimed"] > 0
        assert [row["Id"] for row in (await http("GET", "/containers/json", all="1")).body] == [running]

    @pytest.mark.parametrize(
        ("filters", "gone"),
        [
            ({"label": ["tier"]}, ["web"]),
            ({"label!": ["tier"]}, ["db"]),
            ({"until": ["1h"]}, []),
            ({"until": ["2099-01-01T00:00:00"]}, ["db", "web"]),
        ],
    )
    async def test_filters(self, daemon: Daemon, http: Http, filters: dict[str, list[str]], gone: list[str]) -> None:
        await http.create("true", name="web", Labels={"tier": "web"})
        await http.create("true", name="db")
        names = {each.id: each.name for each in daemon.engine.containers.all()}
        answered = await http("POST", "/containers/prune", filters=json.dumps(filters))
        assert sorted(names[each] for each in answered.body["ContainersDeleted"]) == gone
        assert (await http("POST", "/containers/prune", filters='{"name": ["web"]}')).status == 400


PARTS = {
    "GET": ("json", "top", "changes", "logs?stdout=1", "stats", "stats?stream=0", "archive?path=/srv"),
    "HEAD": ("archive?path=/srv",),
    "PUT": ("archive?path=/srv",),
    "DELETE": ("",),
    "POST": (
        "start", "stop", "restart", "kill", "pause", "unpause", "wait", "resize?h=1&w=1", "attach", "exec", "rename?name=xx",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "part"), [(method, part) for method, parts in PARTS.items() for part in parts])
async def test_one_that_does_not_exist(http: Http, method: str, part: str) -> None:
    body = {"Cmd": ["true"]} if part == "exec" else None
    answered = await http(method, f"/containers/nobody/{part}".removesuffix("/"), body)
    assert answered.status == 404
    if method != "HEAD":
        assert answered.body == {"message": "No such container: nobody", "hint": "ireko ps -a"}
