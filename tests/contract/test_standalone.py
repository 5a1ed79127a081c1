"""What every driver promises of machines that leave and come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ireko.drivers.base import Driver, ExistingDisk, StandaloneSpec
from ireko.drivers.fake import FakeDriver, FakeHost
from ireko.errors import AlreadyThere
from ireko.model.container import PortMapping
from ireko.model.image import MIB, NATIVE_SECTOR

SPEC = StandaloneSpec(
    name="入れ子 1",
    disk="disk.qcow2",
    format="qcow2",
    cpus=2,
    memory=512 * MIB,
    generation=1,
    ports=(PortMapping(80, host_ip="127.0.0.1", host_port=8080),),
    mac="52:54:00:11:22:33",
    origin='the container "web"',
)


@pytest.fixture(params=["fake", "qemu"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    if request.param == "fake":
        return FakeDriver(FakeHost())
    from ireko.drivers.qemu import QemuDriver

    return QemuDriver(tmp_path / "state")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a folder"
    made.mkdir()
    return made


async def test_what_is_written_is_in_the_folder_and_told(driver: Driver, folder: Path) -> None:
    (folder / SPEC.disk).write_bytes(b"the disk")
    written = await driver.write_standalone(SPEC, folder)
    assert written
    assert set(folder.iterdir()) == {*written, folder / SPEC.disk}
    assert (folder / SPEC.disk).read_bytes() == b"the disk"


async def test_a_machine_that_was_written_comes_back(driver: Driver, folder: Path) -> None:
    await driver.write_standalone(SPEC, folder)
    found = await driver.existing(str(folder))
    assert found is not None
    assert (found.name, found.cpus, found.memory, found.generation, found.hardware, found.running) == (
        *(SPEC.name, SPEC.cpus, SPEC.memory, SPEC.generation, SPEC.hardware),
        False,
    )
    assert found.disks == (ExistingDisk(folder / SPEC.disk, SPEC.format, SPEC.sector_size),)


async def test_its_disk_keeps_its_sectors(driver: Driver, folder: Path) -> None:
    await driver.write_standalone(replace(SPEC, sector_size=NATIVE_SECTOR), folder)
    found = await driver.existing(str(folder))
    assert found is not None
    assert [disk.sector_size for disk in found.disks] == [NATIVE_SECTOR]


async def test_a_machine_that_was_moved(driver: Driver, folder: Path) -> None:
    (folder / SPEC.disk).touch()
    await driver.write_standalone(SPEC, folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    found = await driver.existing(str(moved))
    assert found is not None
    assert found.disks == (ExistingDisk(moved / SPEC.disk, SPEC.format, SPEC.sector_size),)


async def test_nothing_is_overwritten(driver: Driver, folder: Path) -> None:
    first, *_ = await driver.write_standalone(SPEC, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(AlreadyThere, match=first.name):
        await driver.write_standalone(SPEC, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


async def test_what_is_no_machine(driver: Driver, folder: Path) -> None:
    (folder / "disk.qcow2").write_bytes(b"QFI\xfb")
    for written in folder, folder / "disk.qcow2", folder / "missing":
        assert await driver.existing(str(written)) is None
