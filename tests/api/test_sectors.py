"""Disks whose sectors have 4096 bytes: guests see them so, wherever an image of one goes."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ireko.disk.chain import open_chain
from ireko.disk.formats import described
from ireko.disk.operations import flatten
from ireko.disk.partition_tables import EFI_SYSTEM
from ireko.drivers.base import StandaloneSpec
from ireko.drivers.fake import FakeDriver
from ireko.model.image import Layer
from tests.disks import MIB, SIZE, content, write_disk

from .conftest import Daemon, Http
from .test_archives import entries, error, layer, lines, load, packed, save, signed

NATIVE = 4096


@pytest.fixture
async def nano(http: Http, daemon: Daemon, tmp_path: Path) -> Path:
    """A VHDX with sectors of 4096 bytes that shows what nano does; as an image it is native:1."""
    root, image = daemon.engine.system.root(), daemon.engine.images.get("nano")
    path = tmp_path / "native.vhdx"
    flatten(root / "layers" / image.top / "disk.qcow2", path, within=[root], sector_size=NATIVE)
    assert not error(await bring(http, path, "native:1", Like="nano"))
    return path


async def bring(http: Http, path: Path, name: str, **more: object) -> list[dict[str, Any]]:
    return await lines(http, "/ireko/images/import", {"Path": str(path), "Name": name, **more})


def sizes(daemon: Daemon, name: str) -> list[int]:
    """What is known of an image's layers, lowest first."""
    images = daemon.engine.images
    return [images.layer(each).sector_size for each in images.get(name).layers]


async def shown(http: Http, daemon: Daemon, image: str) -> list[int]:
    """The sector sizes of the disks of a machine on an image."""
    ref = await http.run("sleep", "1000", image=image)
    driver = daemon.engine._context.driver
    assert isinstance(driver, FakeDriver)
    found = [
        [disk.sector_size for disk in machine.spec.disks]
        for folder, machine in driver._host.machines.items()
        if folder.name == ref
    ]
    await http("DELETE", f"/containers/{ref}", None, force="1")
    return found[0]


def guid_table(sector: int, size: int) -> bytes:
    """The beginning of a disk with one partition, at 1 MiB, for a UEFI to start from; its table counts in sectors."""
    first, last = MIB // sector, 2 * MIB // sector - 1
    table = (EFI_SYSTEM.bytes_le + UUID(int=1).bytes_le + struct.pack("<QQQ", first, last, 0)).ljust(128 * 128, b"\0")
    places = struct.pack("<QQQQ", 1, size // sector - 1, 34, size // sector - 34) + bytes(16)
    rest = bytes(4) + places + struct.pack("<QIII", 2, 128, 128, zlib.crc32(table))
    head = b"EFI PART" + struct.pack("<II", 0x10000, 92)
    checksum = struct.pack("<I", zlib.crc32(head + bytes(4) + rest))
    record = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, size // sector - 1).ljust(64, b"\0") + b"\x55\xaa"
    return record.ljust(sector, b"\0") + (head + checksum + rest).ljust(sector, b"\0") + table


def partitioned(path: Path, sector: int, size: int = SIZE) -> Path:
    """A raw disk that a UEFI starts."""
    system = b"\xeb\x58\x90mkfs.fat".ljust(0x52, b"\1") + b"FAT32   ".ljust(428, b"\1") + b"\x55\xaa"
    path.write_bytes(guid_table(sector, SIZE).ljust(MIB, b"\0") + system.ljust(size - MIB, b"\0"))
    return path


class TestMachines:
    async def test_a_guest_sees_them(self, http: Http, daemon: Daemon, nano: Path) -> None:
        assert sizes(daemon, "native:1") == [NATIVE]
        assert (await http("GET", "/images/native:1/json")).body["Machine"]["SectorSize"] == NATIVE
        assert await shown(http, daemon, "native:1") == [NATIVE, 512]
        assert await http.output(await http.run("cat", "/etc/hostname", image="native:1")) != ""
        assert nano.stat().st_size

    @pytest.mark.usefixtures("nano")
    async def test_they_stay_with_what_is_made_of_it(self, http: Http, daemon: Daemon) -> None:
        await layer(http, "native", "2", "echo kept > /kept", image="native:1")
        assert sizes(daemon, "native:2") == [NATIVE, NATIVE]
        assert await shown(http, daemon, "native:2") == [NATIVE, 512]
        await lines(http, "/ireko/images/native:2/flatten", None, tag="native:flat")
        assert sizes(daemon, "native:flat") == [NATIVE]
        await lines(http, "/ireko/images/native:flat/rebase", None, onto="native:1", tag="native:moved")
        assert sizes(daemon, "native:moved") == [NATIVE, NATIVE]
        assert await http.output(await http.run("cat", "/kept", image="native:moved")) == "kept\n"

    @pytest.mark.usefixtures("nano")
    async def test_a_container_is_made_anew(self, http: Http, daemon: Daemon) -> None:
        ref = await http.run("sleep", "1000", image="native:1")
        answered = await http("POST", f"/ireko/containers/{ref}/recreate")
        assert answered.status == 200, answered.body
        driver = daemon.engine._context.driver
        assert isinstance(driver, FakeDriver)
        (machine,) = driver._host.machines.values()
        assert machine.spec.disks[0].sector_size == NATIVE

    @pytest.mark.usefixtures("nano")
    async def test_files_are_reached_with_them(self, http: Http) -> None:
        ref = await http.create("true", image="native:1")
        answered = await http("GET", f"/containers/{ref}/changes")
        assert (answered.status, answered.body) == (200, [])

    @pytest.mark.usefixtures("nano")
    async def test_an_image_stands_on_none_with_others(self, http: Http, daemon: Daemon) -> None:
        for name, onto in (("native:1", "nano"), ("nano", "native:1")):
            said = error(await lines(http, f"/ireko/images/{name}/rebase", None, onto=onto))
            assert "has sectors of" in said
            assert "can't stand on one with others" in said
        assert not list((daemon.engine.system.root() / "tmp").iterdir())

    async def test_no_bios_reads_them(self, http: Http, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "old.vhdx", {0: 1}, sector_size=NATIVE)
        made = await bring(http, disk, "old", Generation=1)
        assert any("no BIOS can read" in each for each in made[-1]["aux"]["Warnings"])
        ref = await http.create(image="old")
        started = await http("POST", f"/containers/{ref}/start")
        assert (started.status, "boots by a BIOS" in started.body["message"]) == (501, True)
        promoted = await lines(http, f"/ireko/containers/{ref}/promote", {"Path": str(tmp_path / "old")})
        assert "boots by a BIOS" in error(promoted)

    async def test_what_is_not_said_boots_by_uefi(self, http: Http, tmp_path: Path) -> None:
        made = await bring(http, write_disk(tmp_path / "new.vhdx", {0: 1}, sector_size=NATIVE), "new")
        assert "boots with UEFI" in made[-2]["status"]
        assert "sectors of 4096 bytes" in made[-2]["status"]
        assert (await http("GET", "/images/new/json")).body["Machine"]["Generation"] == 2


class TestImport:
    async def test_a_chain(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "base.vhdx", {0: 1, 1024: 2}, sector_size=NATIVE)
        leaf = write_disk(tmp_path / "leaf.avhdx", {1024: 3}, parent=base, sector_size=NATIVE)
        await bring(http, leaf, "web")
        assert sizes(daemon, "web") == [NATIVE, NATIVE]
        root, top = daemon.engine.system.root(), daemon.engine.images.get("web").top
        assert content(root / "layers" / top / "disk.qcow2", root) == content(leaf)

    async def test_it_is_linked(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        assert not error(await bring(http, disk, "web", Link=True, SectorSize=NATIVE))
        assert sizes(daemon, "web") == [NATIVE]
        await lines(http, "/ireko/images/web/flatten")
        assert sizes(daemon, "web") == [NATIVE]

    async def test_a_file_that_does_not_tell(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        """What one says, or what the disk was partitioned for."""
        disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
        await bring(http, disk, "plain")
        await bring(http, disk, "said", SectorSize=NATIVE)
        assert (sizes(daemon, "plain"), sizes(daemon, "said")) == ([512], [NATIVE])
        assert daemon.engine.images.get("plain").layers != daemon.engine.images.get("said").layers
        for sector in (512, NATIVE):
            made = await bring(http, partitioned(tmp_path / f"{sector}.raw", sector), f"table:{sector}")
            assert sizes(daemon, f"table:{sector}") == [sector]
            assert made[-1]["aux"]["Warnings"] == []
        made = await bring(http, tmp_path / "4096.raw", "odd", SectorSize=512)
        assert any("counts sectors of 4096 bytes" in each for each in made[-1]["aux"]["Warnings"])

    async def test_it_is_like_an_image(self, http: Http, daemon: Daemon, nano: Path, tmp_path: Path) -> None:
        flatten(nano, tmp_path / "copy.qcow2")
        await bring(http, tmp_path / "copy.qcow2", "copy", Like="native:1")
        assert sizes(daemon, "copy") == [NATIVE]
        await bring(http, nano, "again", Like="nano")  # a file that tells knows better
        assert daemon.engine.images.get("again").layers == daemon.engine.images.get("native:1").layers

    @pytest.mark.parametrize(
        ("name", "size", "asked", "said"),
        [
            ("disk.vhdx", SIZE, NATIVE, "says that its sectors have 512 bytes: they can't have 4096"),
            ("disk.vhd", SIZE, NATIVE, "says that its sectors have 512 bytes: they can't have 4096"),
            ("disk.qcow2", SIZE + 512, NATIVE, "no whole sectors of 4096"),
        ],
    )
    async def test_what_can_not_be(
        self, http: Http, daemon: Daemon, tmp_path: Path, name: str, size: int, asked: int, said: str
    ) -> None:
        disk = write_disk(tmp_path / name, {0: 1}, size=size)
        assert said in error(await bring(http, disk, "web", SectorSize=asked))
        assert not list((daemon.engine.system.root() / "tmp").iterdir())


class TestLeaving:
    @pytest.mark.parametrize("name", ["qcow2", "vhdx"])
    async def test_in_an_archive(
        self, http: Http, daemon: Daemon, far: Daemon, far_http: Http, nano: Path, name: str
    ) -> None:
        await layer(http, "native", "2", "echo kept > /kept", image="native:1")
        archive = await save(http, "native:2", format=name)
        await load(far_http, archive)
        assert sizes(far, "native:2") == [NATIVE, NATIVE]
        assert await shown(far_http, far, "native:2") == [NATIVE, 512]
        before = len(daemon.engine._context.database.layers)
        await load(http, archive)  # what is here is known again
        assert len(daemon.engine._context.database.layers) == before
        assert nano.exists()

    async def test_one_content_with_both(
        self, http: Http, far: Daemon, far_http: Http, nano: Path, tmp_path: Path
    ) -> None:
        flatten(nano, tmp_path / "plain.vhdx", sector_size=512)
        await bring(http, tmp_path / "plain.vhdx", "plain:1", Like="nano")
        await load(far_http, await save(http, "native:1", "plain:1"))
        assert (sizes(far, "native:1"), sizes(far, "plain:1")) == ([NATIVE], [512])

    @pytest.mark.usefixtures("nano")
    async def test_an_archive_from_before(self, http: Http, far: Daemon, far_http: Http) -> None:
        """It says nothing of sectors, so they have 512 bytes; but a file that has others contradicts it."""
        for name in ("qcow2", "vhdx"):
            found = entries(await save(http, "native:1", format=name))
            manifest = json.loads(found["manifest.json"])
            del manifest["layers"][0]["sector_size"]
            said = error(await load(far_http, packed(signed(found, manifest))))
            assert ("has sectors of 4096 bytes, they must have 512" in said) is (name == "vhdx")
        assert sizes(far, "native:1") == [512]

    @pytest.mark.usefixtures("nano")
    @pytest.mark.parametrize("name", ["qcow2", "vhdx", "raw"])
    async def test_as_a_disk(self, http: Http, daemon: Daemon, tmp_path: Path, name: str) -> None:
        path = tmp_path / f"out.{name}"
        told = await lines(http, "/ireko/images/native:1/export", {"Path": str(path)})
        assert not error(told)
        losses = [each for each in told[-1]["aux"]["Warnings"] if "can't tell that its sectors have 4096 bytes" in each]
        assert (described(path).sector_size, len(losses)) == ((NATIVE, 0) if name == "vhdx" else (512, 1))
        assert not error(await bring(http, path, "back", Like="nano", SectorSize=NATIVE))
        assert sizes(daemon, "back") == [NATIVE]

    @pytest.mark.usefixtures("nano")
    async def test_not_as_a_vhd(self, http: Http, tmp_path: Path) -> None:
        told = await lines(http, "/ireko/images/native:1/export", {"Path": str(tmp_path / "out.vhd")})
        assert "VHD has sectors of 512" in error(told)
        assert not (tmp_path / "out.vhd").exists()

    @pytest.mark.usefixtures("nano")
    @pytest.mark.parametrize("name", ["qcow2", "vhdx"])
    async def test_as_a_machine(self, http: Http, daemon: Daemon, tmp_path: Path, name: str) -> None:
        ref = await http.run("true", image="native:1", name="box")
        await http("POST", f"/containers/{ref}/wait")
        place = tmp_path / "box"
        told = await lines(http, f"/ireko/containers/{ref}/promote", {"Path": str(place), "Format": name})
        assert not error(told)
        machine = msgspec.json.decode((place / "machine.json").read_bytes(), type=StandaloneSpec)
        assert machine.sector_size == NATIVE
        with open_chain(place / machine.disk) as chain:
            assert chain.leaf.info.sector_size == (NATIVE if name == "vhdx" else 512)
        await lines(http, "/ireko/adopt", {"Machine": str(place), "Name": "back"})
        assert sizes(daemon, "back") == [NATIVE]


def test_records_from_before() -> None:
    """A layer whose record says nothing of sectors has those that there were then."""
    fields = {"id": "1", "parent": None, "format": "qcow2", "capacity": 1, "size": 1, "identity": "x"}
    record = json.dumps({**fields, "created": "2026-01-01T00:00:00Z"})
    assert msgspec.json.decode(record, type=Layer).sector_size == 512
