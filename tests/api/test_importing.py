"""Disks and machines from elsewhere become images, and images get other layers."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ireko.disk.errors import DiskError
from ireko.disk.operations.seal import seal
from ireko.disk.seals import write_seal
from ireko.errors import Conflict, IrekoError
from ireko.host import process
from ireko.model.image import Image
from tests.disks import SIZE, content, write_disk

from .conftest import Daemon, Http

qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


async def told(http: Http, path: str, body: object = None, /, **query: str) -> list[dict[str, Any]]:
    """The lines of a work that takes its time."""
    async with http.session.post(f"http://d{path}", json=body, params=query) as response:
        assert response.status == 200, await response.text()
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def bring(http: Http, path: Path, name: str, **more: object) -> list[dict[str, Any]]:
    return await told(http, "/ireko/images/import", {"Path": str(path), "Name": name, **more})


def error(lines: list[dict[str, Any]]) -> str:
    message: str = lines[-1].get("error", "")
    return message


async def refusal(http: Http, path: str, body: object) -> str:
    """What is said to a request that makes no sense, be it at once or as the last line."""
    async with http.session.post(f"http://d{path}", json=body) as response:
        last = json.loads((await response.text()).splitlines()[-1])
    return str(last.get("message") or last["error"])


def layers(daemon: Daemon, name: str) -> list[Path]:
    """The disk files of an image, the lowest first."""
    root = daemon.engine.system.root()
    return [root / "layers" / layer / "disk.qcow2" for layer in image(daemon, name).layers]


def image(daemon: Daemon, name: str) -> Image:
    return daemon.engine.images.get(name)


def shown(daemon: Daemon, name: str, *within: Path) -> bytes:
    return content(layers(daemon, name)[-1], daemon.engine.system.root(), *within)


def untouched(daemon: Daemon) -> bool:
    """Nothing is half-made."""
    root = daemon.engine.system.root()
    known = {layer for each in daemon.engine.images.all() for layer in each.layers}
    return not list((root / "tmp").iterdir()) and {entry.name for entry in (root / "layers").iterdir()} == known


def boot_sector() -> bytes:
    """The first sector of a disk that a BIOS starts: an active partition, and code."""
    entry = bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0]) + struct.pack("<II", 1, 64)
    return b"\xeb\xfe".ljust(446, b"\x90") + entry.ljust(64, b"\0") + b"\x55\xaa"


class TestImport:
    @pytest.mark.parametrize("suffix", ["vhdx", "vhd", "qcow2", "raw"])
    async def test_a_disk_alone(self, http: Http, daemon: Daemon, tmp_path: Path, suffix: str) -> None:
        disk = write_disk(tmp_path / f"サーバ 1.{suffix}", {0: 1, 4096: 2})
        before = disk.read_bytes()
        lines = await bring(http, disk, "server:1")
        assert lines[-1]["aux"]["ID"] == image(daemon, "server:1").id
        assert shown(daemon, "server:1") == content(disk)
        assert disk.read_bytes() == before
        assert untouched(daemon)

    @qemu_img
    @pytest.mark.parametrize("name", ["vmdk", "vdi"])
    async def test_what_qemu_img_reads(self, http: Http, daemon: Daemon, tmp_path: Path, name: str) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {64: 3})
        foreign = tmp_path / f"other.{name}"
        await process.run("qemu-img", "convert", "-O", name, disk, foreign)
        await bring(http, foreign, "foreign")
        assert shown(daemon, "foreign") == content(disk)
        assert untouched(daemon)

    async def test_a_chain_is_a_stack(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1, 1024: 2})
        middle = write_disk(tmp_path / "middle.avhdx", {1024: 3}, parent=base)
        leaf = write_disk(tmp_path / "leaf.avhdx", {2048: 4}, parent=middle)
        await bring(http, leaf, "web")
        assert len(layers(daemon, "web")) == 3
        assert shown(daemon, "web") == content(leaf)
        for path, source in zip(layers(daemon, "web"), (base, middle, leaf), strict=True):
            assert content(path, daemon.engine.system.root()) == content(source)

    async def test_what_two_chains_share_is_stored_once(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1})
        one = write_disk(tmp_path / "one.vhdx", {64: 2}, parent=base)
        other = write_disk(tmp_path / "other.vhdx", {64: 3}, parent=base)
        await bring(http, one, "one")
        await bring(http, other, "other")
        await bring(http, other, "again")
        assert image(daemon, "one").layers[0] == image(daemon, "other").layers[0]
        assert image(daemon, "other").layers == image(daemon, "again").layers
        assert shown(daemon, "other") == content(other)

    async def test_a_seal_proves_no_content(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        """It may be a stranger's, and speak of somebody else's disk: an archive with that one must not be given this layer."""
        wanted = seal(write_disk(tmp_path / "disk.qcow2", {0: 1}))
        (tmp_path / "strange").mkdir()
        strange = write_disk(tmp_path / "strange" / "disk.qcow2", {0: 2})
        write_seal(strange, replace(seal(strange), diff_id=wanted.diff_id, chain_id=wanted.chain_id))
        await bring(http, strange, "strange")
        assert shown(daemon, "strange") == content(strange)
        assert not daemon.engine.images.layer(image(daemon, "strange").top).chain_id

    async def test_a_sealed_disk_is_known_again(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        await bring(http, disk, "before")
        seal(disk)
        await bring(http, disk, "sealed")
        assert image(daemon, "sealed").layers == image(daemon, "before").layers
        for name in ("copy", "other"):
            shutil.copy2(disk, tmp_path / f"{name}.qcow2")
            shutil.copy2(f"{disk}.seal", tmp_path / f"{name}.qcow2.seal")
            await bring(http, tmp_path / f"{name}.qcow2", name)
        assert image(daemon, "other").layers == image(daemon, "copy").layers

    @pytest.mark.parametrize("sealed", [False, True])
    async def test_a_file_that_is_called_raw_is_another_disk(
        self, http: Http, daemon: Daemon, tmp_path: Path, sealed: bool
    ) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        if sealed:
            seal(disk)
        await bring(http, disk, "web")
        await bring(http, disk, "file", Format="raw")
        assert shown(daemon, "web") == content(disk)
        assert shown(daemon, "file") == disk.read_bytes()

    async def test_a_disk_that_was_written_to_is_another(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        await bring(http, disk, "before")
        disk.unlink()
        write_disk(disk, {0: 2})
        await bring(http, disk, "after")
        assert image(daemon, "before").layers != image(daemon, "after").layers
        assert shown(daemon, "after") == content(disk)

    async def test_a_parent_elsewhere_has_to_be_allowed(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        (tmp_path / "bases").mkdir()
        (tmp_path / "vm").mkdir()
        base = write_disk(tmp_path / "bases" / "base.qcow2", {0: 1})
        leaf = write_disk(tmp_path / "vm" / "leaf.qcow2", {64: 2}, parent=base)
        assert "it must be inside" in error(await bring(http, leaf, "web"))
        await bring(http, leaf, "web", Within=[str(tmp_path / "bases")])
        assert shown(daemon, "web") == content(leaf, tmp_path, tmp_path / "bases")

    async def test_settings(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.vhdx", {0: 1})
        lines = await bring(http, disk, "big", Generation=2, Hardware="common", Cpus=2, Memory=2 << 30)
        assert "boots with UEFI, common hardware, 2048 MiB of memory" in lines[-2]["status"]
        machine = (await http("GET", "/images/big/json")).body["Machine"]
        wanted = {
            "Boot": "uefi",
            "Generation": 2,
            "Hardware": "common",
            "Cpus": 2,
            "Memory": 2 << 30,
            "SectorSize": 512,
        }
        assert machine == wanted
        await bring(http, disk, "like", Like="nano", Memory=1 << 30)
        like, nano = image(daemon, "like").config, image(daemon, "nano").config
        assert (like.command, like.init, like.boot, like.memory) == (nano.command, nano.init, nano.boot, 1 << 30)

    async def test_a_command_makes_no_sense_there(self, http: Http, tmp_path: Path) -> None:
        await bring(http, write_disk(tmp_path / "disk.vhdx", {0: 1}), "own")
        answered = await http("POST", "/containers/create", {"Image": "own", "Cmd": ["true"]})
        assert (answered.status, "boot from their own disk" in answered.body["message"]) == (400, True)
        assert (await http("POST", "/containers/create", {"Image": "own"})).status == 201

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({}, "no disk file was named"),
            ({"Path": "relative.vhdx"}, "must be absolute"),
            ({"Path": "/no/such.vhdx"}, 'there is no file or folder "/no/such.vhdx"'),
            ({"Path": "/no/such.vhdx", "Within": ["/no/where"]}, 'there is no file or folder "/no/where"'),
            ({"Path": "/no/such.vhdx", "Within": ["where"]}, 'the path "where" must be absolute'),
            ({"Path": "/no/such.vhdx", "Hardware": "odd"}, 'there is no hardware "odd"'),
            ({"Path": "/no/such.vhdx", "Generation": 3}, 'the generation is "3"'),
            ({"Path": "/no/such.vhdx", "Cpus": -1}, 'the number of CPUs is "-1.0"'),
            ({"Path": "/no/such.vhdx", "Memory": 1}, "at least 64MB"),
            ({"Path": "/no/such.vhdx", "SectorSize": 1024}, "the sector size is 1024"),
            ({"Path": "/no/such.vhdx", "Memory": -(1 << 30)}, "at least 64MB"),
            ({"Path": "/no/such.vhdx", "Format": "iso"}, "there are vhdx, vhd, qcow2, raw, vmdk, vdi"),
            ({"Path": "/etc/passwd", "Format": "vmdk"}, '"/etc/passwd" is no VMDK'),
            ({"Path": "/no/such.vhdx", "Name": "Bad Name"}, "invalid reference format"),
            ({"Path": "/no/such.vhdx", "Like": "nobody"}, "No such image"),
        ],
    )
    async def test_bad_input(self, http: Http, daemon: Daemon, body: dict[str, object], said: str) -> None:
        assert said in await refusal(http, "/ireko/images/import", body)
        assert untouched(daemon)

    async def test_what_is_no_disk(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        text = tmp_path / "disk.vhdx"
        text.write_text("not a disk at all\n" * 1000)
        assert f'"{text}"' in error(await bring(http, text, "text"))
        assert untouched(daemon)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (Path.mkdir, "is a folder: a disk is a file"),
            (os.mkfifo, "is no regular file"),
            (Path.touch, "has 0 bytes"),
            (lambda path: path.symlink_to(path), "there is no file or folder"),
        ],
        ids=["folder", "pipe", "empty", "circle"],
    )
    async def test_what_holds_no_disk(
        self, http: Http, daemon: Daemon, tmp_path: Path, make: Callable[[Path], object], said: str
    ) -> None:
        """A named pipe, above all, is not waited for."""
        make(tmp_path / "disk.raw")
        assert said in error(await bring(http, tmp_path / "disk.raw", "web"))
        assert said in error(await bring(http, tmp_path / "disk.raw", "web", Format="vmdk")) or said == "has 0 bytes"
        assert untouched(daemon)

    async def test_a_name_that_no_file_can_have(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        path = tmp_path / ("x" * 300)
        assert f'"{path}"' in await refusal(http, "/ireko/images/import", {"Path": str(path)})
        assert f'"{path}"' in await refusal(http, "/ireko/adopt", {"Machine": str(path)})
        assert untouched(daemon)

    async def test_what_no_firmware_can_start(self, http: Http, tmp_path: Path) -> None:
        lines = await bring(http, write_disk(tmp_path / "data.vhdx", {1024: 1}), "data")
        (warning,) = lines[-1]["aux"]["Warnings"]
        assert warning.startswith("neither a BIOS nor UEFI finds anything to start on the disk")
        assert (await bring(http, tmp_path / "data.vhdx", "nano:2", Like="nano"))[-1]["aux"]["Warnings"] == []

    async def test_the_firmware_that_can_is_named(self, http: Http, tmp_path: Path) -> None:
        disk = tmp_path / "disk.raw"
        disk.write_bytes(boot_sector() + bytes(1 << 20))
        assert (await bring(http, disk, "old"))[-1]["aux"]["Warnings"] == []
        (warning,) = (await bring(http, disk, "old", Generation=2))[-1]["aux"]["Warnings"]
        assert warning.endswith("--generation 1")

    @qemu_img
    async def test_snapshots_inside_are_told_of(self, http: Http, tmp_path: Path) -> None:
        disk = tmp_path / "disk.qcow2"
        await process.run("qemu-img", "create", "-f", "qcow2", disk, "16M")
        await process.run("qemu-img", "snapshot", "-c", "before", disk)
        assert f'inside "{disk}"' in (await bring(http, disk, "web"))[-1]["aux"]["Warnings"][0]

    @pytest.mark.parametrize("begin", [b"QED\0", b"\xfd7zXZ\0", b"LUKS\xba\xbe"])
    async def test_what_is_known_to_be_something_else(
        self, http: Http, daemon: Daemon, tmp_path: Path, begin: bytes
    ) -> None:
        path = tmp_path / "disk.img"
        path.write_bytes(begin.ljust(1 << 20, b"\1"))
        assert "which is not read here" in error(await bring(http, path, "web"))
        assert untouched(daemon)
        await bring(http, path, "web", Format="raw")

    @qemu_img
    async def test_what_qemu_img_says_is_told(self, http: Http, tmp_path: Path) -> None:
        disk = tmp_path / "disk.vdi"
        await process.run("qemu-img", "create", "-f", "vdi", disk, "16M")
        disk.write_bytes(disk.read_bytes()[:100] + b"\xff" * 400)
        said = error(await bring(http, disk, "web"))
        assert "qemu-img" in said
        assert str(disk) in said

    async def test_a_parent_that_is_elsewhere(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        (tmp_path / "bases").mkdir()
        base = write_disk(tmp_path / "base.vhdx", {0: 1})
        leaf = write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base)
        base.rename(tmp_path / "bases" / base.name)
        lines = await bring(http, leaf, "web")
        assert "missing" in error(lines)
        assert lines[-1]["hint"].startswith("--parents DIR")
        await bring(http, leaf, "web", Within=[str(tmp_path / "bases")])
        assert shown(daemon, "web") == content(leaf, tmp_path, tmp_path / "bases")

    async def test_damage_in_the_middle(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1})
        leaf = write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base)
        base.write_bytes(base.read_bytes()[: 3 << 20])
        assert error(await bring(http, leaf, "web"))
        assert untouched(daemon)
        assert [each.id for each in daemon.engine.images.all()] == [image(daemon, "nano").id]

    @pytest.mark.parametrize(
        "text", ['# Disk DescriptorFile\nRW 2048 FLAT "/etc/passwd" 0\n', "KDMV" + "\0" * 600], ids=["text", "split"]
    )
    async def test_a_vmdk_that_names_other_files(self, http: Http, daemon: Daemon, tmp_path: Path, text: str) -> None:
        hostile = tmp_path / "disk.vmdk"
        hostile.write_text(text)
        assert "in other files" in error(await bring(http, hostile, "web"))
        assert untouched(daemon)

    @qemu_img
    @pytest.mark.parametrize("length", [20, 0], ids=["as it is", "where only qemu-img looks"])
    async def test_a_vmdk_that_stands_on_another(self, http: Http, daemon: Daemon, tmp_path: Path, length: int) -> None:
        """Whatever its header says of its description: qemu-img would read any VMDK of this host for it."""
        secret, hostile = tmp_path / "secret.vmdk", tmp_path / "disk.vmdk"
        await process.run("qemu-img", "convert", "-O", "vmdk", write_disk(tmp_path / "disk.qcow2", {0: 1}), secret)
        await process.run("qemu-img", "create", "-q", "-f", "vmdk", "-b", secret, "-F", "vmdk", hostile)
        with hostile.open("r+b") as file:
            file.seek(36)
            file.write(struct.pack("<Q", length))
        assert "stands on another one" in error(await bring(http, hostile, "web"))
        assert untouched(daemon)


class TestLink:
    async def test_nothing_is_copied(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.qcow2", {0: 1, 1024: 5})
        leaf = write_disk(tmp_path / "leaf.qcow2", {64: 2}, parent=base)
        await bring(http, leaf, "linked", Link=True)
        (layer,) = layers(daemon, "linked")
        assert layer.stat().st_size <= 64 << 10
        assert shown(daemon, "linked", tmp_path) == content(leaf)

    async def test_the_files_are_told(self, http: Http, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.qcow2", {0: 1})
        leaf = write_disk(tmp_path / "leaf.qcow2", {64: 2}, parent=base)
        await bring(http, leaf, "linked", Link=True)
        assert (await http("GET", "/images/linked/json")).body["Linked"] == [str(leaf), str(base)]
        assert (await http("GET", "/images/nano/json")).body["Linked"] == []
        assert f"linked to {leaf}" in [node["Status"] for node in (await http("GET", "/ireko/tree")).body]

    async def test_a_file_that_is_gone(self, http: Http, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        await bring(http, disk, "linked", Link=True, Like="nano")
        ref = await http.create("true", image="linked")
        disk.unlink()
        answered = await http("POST", f"/containers/{ref}/start")
        assert f'there is no file "{disk}"' in answered.body["message"]
        # these words tell docker's client that a program was not found in the guest
        assert "no such file or directory" not in answered.body["message"].lower()

    async def test_a_pipe_in_its_place_is_not_waited_for(self, http: Http, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        await bring(http, disk, "linked", Link=True, Like="nano")
        ref = await http.create("true", image="linked")
        disk.unlink()
        os.mkfifo(disk)
        answered = await http("POST", f"/containers/{ref}/start")
        assert (answered.status, f'"{disk}"' in answered.body["message"]) == (500, True)
        assert f'"{disk}"' in error(await told(http, "/ireko/images/linked/flatten"))

    async def test_a_path_through_a_folder_needs_it_no_more(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.qcow2", {0: 1})
        (tmp_path / "folder").mkdir()
        await bring(http, tmp_path / "folder" / ".." / "base.qcow2", "linked", Link=True)
        (tmp_path / "folder").rmdir()
        assert shown(daemon, "linked", daemon.engine.system.root(), tmp_path) == content(base)
        assert (await http("GET", "/images/linked/json")).body["Linked"] == [str(base)]

    async def test_a_change_is_noticed(self, http: Http, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.qcow2", {0: 1})
        leaf = write_disk(tmp_path / "leaf.qcow2", {64: 2}, parent=base)
        await bring(http, leaf, "linked", Link=True, Like="nano")
        ref = await http.create("true", image="linked")
        os.utime(base, (1, 1))
        answered = await http("POST", f"/containers/{ref}/start")
        assert answered.status == 500
        assert f'stands on "{base}", which was changed' in answered.body["message"]

    async def test_what_is_ours_already(self, http: Http, daemon: Daemon) -> None:
        (disk,) = layers(daemon, "nano")
        assert "where it goes with" in error(await bring(http, disk, "web", Link=True))
        assert untouched(daemon)

    async def test_what_the_driver_can_not_open(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1})
        leaf = write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base)
        assert "can't be linked" in error(await bring(http, leaf, "web", Link=True))
        assert untouched(daemon)


class TestAdopt:
    async def test_a_folder_with_checkpoints(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        folder = tmp_path / "Web Server" / "Virtual Hard Disks"
        folder.mkdir(parents=True)
        base = write_disk(folder / "web.vhdx", {0: 1})
        leaf = write_disk(folder / "web_3F2504E0.avhdx", {64: 2}, parent=base)
        await told(http, "/ireko/adopt", {"Machine": str(folder.parent)})
        assert len(layers(daemon, "web-server")) == 2
        assert shown(daemon, "web-server") == content(leaf)

    async def test_a_disk(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "db.qcow2", {0: 1})
        await told(http, "/ireko/adopt", {"Machine": str(disk), "Name": "db:1"})
        assert shown(daemon, "db:1") == content(disk)

    async def test_a_folder_is_called_as_it_is_whatever_led_to_it(
        self, http: Http, daemon: Daemon, tmp_path: Path
    ) -> None:
        (tmp_path / "web" / "disks").mkdir(parents=True)
        disk = write_disk(tmp_path / "web" / "disk.qcow2", {0: 1})
        await told(http, "/ireko/adopt", {"Machine": str(tmp_path / "web" / "disks" / "..")})
        assert shown(daemon, "web") == content(disk)

    @qemu_img
    @pytest.mark.parametrize("name", ["vmdk", "vdi"])
    async def test_a_folder_of_another_hypervisor(self, http: Http, daemon: Daemon, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "web"
        folder.mkdir()
        disk = write_disk(tmp_path / "disk.qcow2", {64: 3})
        await process.run("qemu-img", "convert", "-O", name, disk, folder / f"web.{name}")
        (folder / f"web-flat.{name}").write_bytes(bytes(1 << 20))
        await told(http, "/ireko/adopt", {"Machine": str(folder)})
        assert shown(daemon, "web") == content(disk)
        write_disk(folder / "web.vhdx", {0: 5})
        await told(http, "/ireko/adopt", {"Machine": str(folder), "Name": "own"})
        assert shown(daemon, "own") == content(folder / "web.vhdx")

    async def test_several_machines_in_one_folder(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        write_disk(tmp_path / "one.vhdx", {0: 1})
        write_disk(tmp_path / "two.vhdx", {0: 1})
        message = error(await told(http, "/ireko/adopt", {"Machine": str(tmp_path)}))
        assert '"one.vhdx", "two.vhdx"' in message
        assert untouched(daemon)

    async def test_a_folder_with_links_to_nowhere(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "db.qcow2", {0: 1})
        (tmp_path / "old.qcow2").symlink_to("gone.qcow2")
        await told(http, "/ireko/adopt", {"Machine": str(tmp_path), "Name": "db"})
        assert shown(daemon, "db") == content(disk)

    async def test_a_disk_with_two_names(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "db.qcow2", {0: 1})
        (tmp_path / "latest.qcow2").symlink_to(disk.name)
        await told(http, "/ireko/adopt", {"Machine": str(tmp_path), "Name": "db"})
        assert shown(daemon, "db") == content(disk)

    @pytest.mark.parametrize("named", ["", "machine.json"], ids=["folder", "description"])
    async def test_a_machine_whose_disk_is_elsewhere(
        self, http: Http, daemon: Daemon, tmp_path: Path, named: str
    ) -> None:
        """It may come from a stranger, who must not have any file of this host read."""
        machine, secret = tmp_path / "machine", write_disk(tmp_path / "secret.raw", {0: 1})
        await told(http, f"/ireko/containers/{await http.create('true')}/promote", {"Path": str(machine)})
        described = json.loads((machine / "machine.json").read_text())
        (machine / "machine.json").write_text(json.dumps({**described, "disk": str(secret), "format": "raw"}))
        lines = await told(http, "/ireko/adopt", {"Machine": str(machine / named), "Name": "web"})
        assert f'outside of its folder: "{secret}"' in error(lines)
        assert lines[-1]["hint"].startswith(f"--parents {tmp_path} allows it")
        assert untouched(daemon)
        await told(http, "/ireko/adopt", {"Machine": str(machine / named), "Name": "web", "Within": [str(tmp_path)]})
        assert shown(daemon, "web") == content(secret)

    async def test_a_raw_disk(self, http: Http, tmp_path: Path) -> None:
        (tmp_path / "disk").write_bytes(bytes(1 << 20))
        lines = await told(http, "/ireko/adopt", {"Machine": str(tmp_path / "disk")})
        assert lines[-1]["hint"].startswith(f"ireko image import --from raw {tmp_path / 'disk'}")

    async def test_a_pipe(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "disk")
        assert "is no regular file" in error(await told(http, "/ireko/adopt", {"Machine": str(tmp_path / "disk")}))
        assert untouched(daemon)

    @pytest.mark.parametrize(
        ("machine", "said"), [("nobody", 'there is no machine "nobody"'), ("", "no machine was named")]
    )
    async def test_no_such_machine(self, http: Http, machine: str, said: str) -> None:
        assert said in await refusal(http, "/ireko/adopt", {"Machine": machine})


class TestLayers:
    async def test_flatten(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1, 64: 7})
        leaf = write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base)
        await bring(http, leaf, "web")
        old = image(daemon, "web")
        await told(http, "/ireko/images/web/flatten")
        assert len(layers(daemon, "web")) == 1
        assert shown(daemon, "web") == content(leaf)
        assert image(daemon, "web").config == old.config
        assert daemon.engine.images.references(old.id) == []

    async def test_flatten_under_another_name(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1})
        await bring(http, write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base), "web")
        await told(http, "/ireko/images/web/flatten", tag="web:flat")
        assert (len(layers(daemon, "web")), len(layers(daemon, "web:flat"))) == (2, 1)

    async def test_there_is_nothing_to_flatten(self, http: Http) -> None:
        assert "one layer already" in error(await told(http, "/ireko/images/nano/flatten"))

    async def test_a_container_of_a_flat_image_sees_the_same_files(self, http: Http, daemon: Daemon) -> None:
        ref = await http.run("sh", "-c", "echo kept > /kept")
        await http("POST", f"/containers/{ref}/wait")
        await http("POST", "/commit", None, container=ref, repo="mine")
        await told(http, "/ireko/images/mine/flatten")
        assert len(image(daemon, "mine").layers) == 1
        assert await http.output(await http.run("cat", "/kept", image="mine")) == "kept\n"

    async def test_rebase_shares_what_is_the_same(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        await bring(http, write_disk(tmp_path / "one.vhdx", {0: 1, 1024: 2, 2048: 3}), "one")
        other = write_disk(tmp_path / "other.vhdx", {0: 1, 1024: 9, 4096: 4})
        await bring(http, other, "other")
        await told(http, "/ireko/images/other/rebase", onto="one")
        assert image(daemon, "other").layers[0] == image(daemon, "one").top
        assert shown(daemon, "other") == content(other)
        top = daemon.engine.images.layer(image(daemon, "other").top)
        assert top.size < 1 << 20

    async def test_rebase_refuses(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        await bring(http, write_disk(tmp_path / "big.vhdx", {0: 1}, size=2 * SIZE), "big")
        await bring(http, write_disk(tmp_path / "small.vhdx", {0: 1}), "small")
        assert "can't stand on a larger one" in error(await told(http, "/ireko/images/small/rebase", onto="big"))
        assert "stands on" in error(await told(http, "/ireko/images/small/rebase", onto="small"))
        assert untouched(daemon)


async def test_no_damage_is_taken_along(http: Http, daemon: Daemon, tmp_path: Path) -> None:
    """What a layer shows that was written to is never made the content of a new one."""
    base = write_disk(tmp_path / "base.vhdx", {0: 1})
    await bring(http, write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=base), "web")
    await bring(http, write_disk(tmp_path / "other.vhdx", {0: 1, 64: 3}), "other")
    os.utime(layers(daemon, "web")[0], (1, 1))
    for path, query in (
        ("/ireko/images/web/flatten", {}),
        ("/ireko/images/web/rebase", {"onto": "other"}),
        ("/ireko/images/other/rebase", {"onto": "web"}),
    ):
        assert "was changed after it was sealed" in error(await told(http, path, **query))
    assert untouched(daemon)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.utime(path, (1, 1))], ids=["gone", "changed"])
async def test_what_was_damaged_is_made_anew(
    http: Http, daemon: Daemon, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    disk = write_disk(tmp_path / "web.vhdx", {0: 1})
    await bring(http, disk, "web")
    damage(layers(daemon, "web")[0])
    await bring(http, disk, "web")
    assert shown(daemon, "web") == content(disk)
    await bring(http, write_disk(tmp_path / "leaf.vhdx", {64: 2}, parent=disk), "leaf")
    assert image(daemon, "leaf").layers[0] == image(daemon, "web").top


async def test_a_disk_that_goes_while_it_is_read(daemon: Daemon, tmp_path: Path) -> None:
    from ireko.engine.importing import Settings, Source

    disk = write_disk(tmp_path / "disk.qcow2", {0: 1})

    def remove(step: str, done: int | None, total: int | None) -> None:
        del step, done, total
        disk.unlink(missing_ok=True)

    with pytest.raises(IrekoError, match=str(disk)):
        await daemon.engine.importer.bring(Source(disk), Settings(), reference=None, link=False, progress=remove)
    assert untouched(daemon)


async def test_a_disk_that_changes_while_it_is_read(daemon: Daemon, tmp_path: Path) -> None:
    from ireko.engine.importing import Settings, Source

    disk = write_disk(tmp_path / "disk.qcow2", {0: 1})

    def touch(step: str, done: int | None, total: int | None) -> None:
        del step, done, total
        os.utime(disk, (1, 1))

    with pytest.raises((Conflict, DiskError), match="was written to"):
        await daemon.engine.importer.bring(Source(disk), Settings(), reference=None, link=False, progress=touch)
    assert untouched(daemon)
