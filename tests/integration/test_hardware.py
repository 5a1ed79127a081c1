"""Machines that boot by firmware, on both kinds of hardware."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import give_up
from tests.integration import tiny_system

from ireko.disk.chain import open_chain
from ireko.drivers.base import Disk, Driver, Machine, MachineSpec, Stdio, Stream
from ireko.drivers.qemu import QemuDriver, files, firmware
from ireko.errors import IrekoError
from ireko.model.image import MIB, Hardware

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

BOTH = pytest.mark.parametrize("hardware", list(Hardware))


@pytest.fixture
async def driver(test_cache: Path) -> AsyncIterator[Driver]:
    made = QemuDriver(test_cache / "state")
    try:
        await made.open()
    except IrekoError as error:
        give_up(f"{error} ({error.hint})")
    yield made
    await made.close()


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    """A machine without a kernel."""
    folder = tmp_path / "machine"
    folder.mkdir()
    disk = tmp_path / "disk.qcow2"
    tiny_system.install(disk)
    return MachineSpec(
        id=secrets.token_hex(32),
        name="box",
        directory=folder,
        cpus=1,
        memory=128 * MIB,
        disks=(Disk("root", disk, "qcow2"),),
        stdio=Stdio.CONSOLE,
        generation=1,
        network=True,
    )


async def seen(machine: Machine, pattern: bytes) -> None:
    """Wait until the machine has said something."""
    path = dict(machine.outputs)[Stream.STDOUT]
    grown = asyncio.Event()
    stop = machine.watch_outputs(grown.set)
    try:
        while not re.search(pattern, path.read_bytes()):
            await grown.wait()
            grown.clear()
    finally:
        stop()


def sectors(path: Path, count: int) -> list[bytes]:
    """What the first bytes of the disk's first sectors are, after its boot sector."""
    with open_chain(path, within=[path.parent]) as chain:
        return [chain.view.read(n * tiny_system.SECTOR, 1) for n in range(1, count + 1)]


@BOTH
async def test_a_bios_boots_the_disk_and_it_is_frozen(
    hardware: Hardware, driver: Driver, spec: MachineSpec, tmp_path: Path
) -> None:
    disk, leaf = spec.disks[0].path, tmp_path / "leaf.qcow2"
    machine = await driver.start(replace(spec, hardware=hardware))
    try:
        await seen(machine, b">")
        await machine.write_terminal(b"a")
        await seen(machine, b">.*a")
        driver.disks.create(leaf, parent=disk, capacity=tiny_system.SIZE)
        await machine.switch_disk("root", leaf, disk)
        assert await machine.active_disk("root") == leaf
        await machine.write_terminal(b"b")
        await seen(machine, b">.*a.*b")
        usage = await machine.usage()
        assert usage.disk_written >= 2 * tiny_system.SECTOR
        assert usage.disk_read >= tiny_system.SECTOR
    finally:
        await machine.power_off()
        await machine.close()
    assert sectors(disk, 2) == [b"a", b"\0"]
    assert sectors(leaf, 2) == [b"a", b"b"]


@BOTH
async def test_many_disks(hardware: Hardware, driver: Driver, spec: MachineSpec, tmp_path: Path) -> None:
    others = []
    for number in range(8):
        disk = tmp_path / f"{number}.qcow2"
        driver.disks.create(disk, parent=None, capacity=MIB)
        others.append(Disk(f"vol-{number}", disk, "qcow2", read_only=number == 0))
    machine = await driver.start(replace(spec, hardware=hardware, disks=(*spec.disks, *others)))
    try:
        await seen(machine, b">")
        assert await machine.active_disk("vol-7") == tmp_path / "7.qcow2"
    finally:
        await machine.power_off()
        await machine.close()


@BOTH
async def test_uefi_looks_for_a_system(hardware: Hardware, driver: Driver, spec: MachineSpec) -> None:
    if firmware.find() is None:
        give_up(f"there is no UEFI firmware: {firmware.PACKAGE_HINT}")
    device = b"HARDDISK" if hardware is Hardware.COMMON else b"Misc Device"
    machine = await driver.start(replace(spec, generation=2, hardware=hardware))
    try:
        await seen(machine, rb'BdsDxe: failed to load Boot\d+ "UEFI [^"]*' + device)
        variables = spec.directory / files.VARIABLES
        assert variables.stat().st_mode & 0o777 == 0o600
        remembered = variables.read_bytes()
    finally:
        await machine.power_off()
        await machine.close()
    assert remembered != firmware.needed("box").variables.path.read_bytes()


async def test_a_start_that_fails_leaves_no_variables(driver: Driver, spec: MachineSpec) -> None:
    if firmware.find() is None:
        give_up(f"there is no UEFI firmware: {firmware.PACKAGE_HINT}")
    spec.disks[0].path.unlink()
    with pytest.raises(IrekoError, match="box"):
        await driver.start(replace(spec, generation=2))
    assert not list(spec.directory.iterdir())
