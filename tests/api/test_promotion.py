"""Containers that become machines of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ireko.disk.base import Progress
from ireko.disk.formats import open_layer
from ireko.disk.operations.compare import first_difference
from ireko.disk.view import View
from ireko.engine import chains
from ireko.model.event import Event

from .conftest import Daemon, Http

DISKS = {"qcow2": "disk.qcow2", "vhdx": "disk.vhdx", "vhd": "disk.vhd", "raw": "disk.raw"}
KERNEL_FILES = ["disk.qcow2", "initrd", "kernel", "machine.json", "seed.tar"]


async def box(http: Http, *, name: str = "box", **more: object) -> str:
    """A container that has run, and has written something."""
    ref = await http.run("sh", "-c", "echo old > /kept", name=name, **more)
    await http("POST", f"/containers/{ref}/wait")
    return ref


async def lines(http: Http, ref: str, path: Path, **body: object) -> list[dict[str, Any]]:
    url = f"http://d/ireko/containers/{ref}/promote"
    async with http.session.post(url, json={"Path": str(path), **body}) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        return [json.loads(line) async for line in response.content]


async def promote(http: Http, ref: str, path: Path, **body: object) -> dict[str, Any]:
    """What was made."""
    said = await lines(http, ref, path, **body)
    assert "error" not in said[-1], said[-1]
    made: dict[str, Any] = said[-1]["aux"]
    return made


async def refused(http: Http, ref: str, path: Path, **body: object) -> tuple[int, str, str]:
    """The code, the message and the hint."""
    last = (await lines(http, ref, path, **body))[-1]
    return last["errorDetail"]["code"], last["error"], last.get("hint", "")


def leftovers(folder: Path) -> list[Path]:
    return [*folder.glob(".*.part")]


def shows_the_same(daemon: Daemon, ref: str, disk: Path, disk_format: str) -> bool:
    engine = daemon.engine
    with (
        chains.of_container(engine._context, engine.containers.get(ref)) as chain,
        open_layer(disk, format_name=disk_format) as layer,
    ):
        return first_difference(chain.view, View([layer]), Progress()) is None


class TestPromoted:
    async def test_the_folder_has_all_that_it_needs(self, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        said = await lines(http, ref, tmp_path / "box")
        assert {line["id"] for line in said[:-2]} == {"box"}
        assert {"writing the disk", "reading it back"} <= {line["status"] for line in said[:-2]}
        assert said[-2] == {"status": "promoted box"}
        aux = {"Path": str(tmp_path / "box"), "Disk": "disk.qcow2", "Files": KERNEL_FILES, "Warnings": []}
        assert said[-1] == {"aux": aux}
        assert sorted(path.name for path in (tmp_path / "box").iterdir()) == KERNEL_FILES
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("disk_format", DISKS)
    async def test_the_disk_shows_what_the_container_s_does(
        self, daemon: Daemon, http: Http, tmp_path: Path, disk_format: str
    ) -> None:
        ref = await box(http)
        made = await promote(http, ref, tmp_path / "box", Format=disk_format)
        assert made["Disk"] == DISKS[disk_format]
        disk = tmp_path / "box" / made["Disk"]
        with open_layer(disk, format_name=disk_format) as layer:
            assert layer.info.parent is None
        assert shows_the_same(daemon, ref, disk, disk_format)

    async def test_layers_below_are_in_it_too(self, daemon: Daemon, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        await http("POST", "/commit", None, container=ref, repo="mine")
        other = await http.run("sh", "-c", "echo new > /more", image="mine", name="other")
        await http("POST", f"/containers/{other}/wait")
        made = await promote(http, other, tmp_path / "m")
        assert shows_the_same(daemon, other, tmp_path / "m" / made["Disk"], "qcow2")

    async def test_the_container_stays_as_it_is(self, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        await promote(http, ref, tmp_path / "box")
        assert (await http("POST", f"/containers/{ref}/start")).status == 204

    async def test_an_empty_folder_is_taken(self, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        (tmp_path / "empty").mkdir()
        assert (await promote(http, ref, tmp_path / "empty"))["Files"] == KERNEL_FILES

    async def test_moved(self, daemon: Daemon, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        await promote(http, ref, tmp_path / "box", Move=True)
        assert (await http("GET", f"/containers/{ref}/json")).status == 404
        assert not daemon.engine._context.database.operations
        assert (tmp_path / "box" / "disk.qcow2").exists()

    async def test_registered(self, http: Http, tmp_path: Path, daemon: Daemon) -> None:
        ref = await box(http)
        await promote(http, ref, tmp_path / "m", Register="prod-1")
        found = await daemon.engine._context.driver.existing("prod-1")
        assert found is not None
        assert found.disks[0].path == tmp_path / "m" / "disk.qcow2"

    async def test_it_is_told_as_an_event(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        seen: list[Event] = []
        ref = await box(http)
        events = daemon.engine.events.stream()
        await promote(http, ref, tmp_path / "box", Move=True)
        async for event in events:
            seen.append(event)
            if event.action == "destroy":
                break
        assert [event.action for event in seen] == ["promote", "destroy"]
        assert (seen[0].attributes["name"], seen[0].attributes["path"]) == ("box", str(tmp_path / "box"))

    async def test_what_is_lost_is_told(self, http: Http, tmp_path: Path) -> None:
        ref = await box(http, HostConfig={"Binds": ["data:/data", f"{tmp_path}:/host"]})
        made = await promote(http, ref, tmp_path / "box")
        assert made["Warnings"] == [
            'the volume "data" is not part of the machine: /data shows what the disk has there',
            f'the host path "{tmp_path}" is not part of the machine: /host shows what the disk has there',
        ]


class TestRefused:
    async def test_one_that_runs(self, http: Http, tmp_path: Path) -> None:
        ref = await http.run("sleep", "1000000", name="box")
        code, said, hint = await refused(http, ref, tmp_path / "box")
        assert (code, hint) == (409, "ireko stop box")
        assert said == 'the container "box" is running: only one that does not run can be promoted'
        assert [*tmp_path.iterdir()] == []

    async def test_no_such_container(self, http: Http, tmp_path: Path) -> None:
        answered = await http("POST", "/ireko/containers/nobody/promote", {"Path": str(tmp_path / "x")})
        assert answered.status == 404

    @pytest.mark.parametrize("body", [{}, {"Path": ""}, {"Path": 7}])
    async def test_a_body_that_makes_no_sense(self, http: Http, body: dict[str, object]) -> None:
        ref = await http.create("true")
        assert (await http("POST", f"/ireko/containers/{ref}/promote", body)).status == 400

    @pytest.mark.parametrize(
        ("path", "code", "said"),
        [
            ("box", 400, "must be absolute"),
            ("/tmp/b\0x", 400, "has a NUL character"),
            (f"/{'x' * 300}/box", 503, "File name too long"),
            ("/", 400, "names no new folder"),
            ("/tmp/../box", 400, "names no new folder"),
            ("/no/such/folder", 404, 'there is no folder "/no/such"'),
        ],
    )
    async def test_no_place_for_a_folder(self, http: Http, path: str, code: int, said: str) -> None:
        ref = await http.create("true")
        found = await refused(http, ref, Path(path))
        assert found[0] == code
        assert said in found[1]

    @pytest.mark.parametrize("kind", ["file", "full", "link"])
    async def test_a_place_that_is_taken(self, http: Http, tmp_path: Path, kind: str) -> None:
        ref = await http.create("true")
        place = tmp_path / "taken"
        if kind == "file":
            place.write_text("mine")
        elif kind == "full":
            place.mkdir()
            (place / "mine").touch()
        else:
            place.symlink_to(tmp_path)
        before = [*tmp_path.rglob("*")]
        code, said, _ = await refused(http, ref, place)
        assert (code, said) == (409, f'there is something at "{place}" already')
        assert [*tmp_path.rglob("*")] == before

    async def test_inside_the_root(self, http: Http, daemon: Daemon) -> None:
        root = daemon.engine.system.root()
        ref = await http.create("true")
        code, said, _ = await refused(http, ref, Path(root) / "tmp" / "x")
        assert code == 400
        assert "is inside" in said

    @pytest.mark.parametrize(
        ("body", "said"),
        [({"Format": "vmdk"}, '"vmdk" is no disk format'), ({"Register": "a\nb"}, r"invalid machine name 'a\nb'")],
    )
    async def test_what_there_is_not(self, http: Http, tmp_path: Path, body: dict[str, str], said: str) -> None:
        ref = await http.create("true")
        found = await refused(http, ref, tmp_path / "x", **body)
        assert found[0] == 400
        assert said in found[1]
        assert [*tmp_path.iterdir()] == []

    async def test_a_name_that_the_hypervisor_knows(self, http: Http, tmp_path: Path) -> None:
        ref = await box(http)
        await promote(http, ref, tmp_path / "one", Register="製品 'a'")
        code, said, _ = await refused(http, ref, tmp_path / "two", Register="製品 'a'")
        assert code == 409
        assert "製品 'a'" in said
        assert not (tmp_path / "two").exists()
