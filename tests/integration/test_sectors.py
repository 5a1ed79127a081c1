"""Disks whose sectors have 4096 bytes, under real guests."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import give_up
from tests.integration.hosts import LIMIT, Host
from tests.integration.test_hardware import driver, seen, spec

from ireko.disk.formats import described, open_layer
from ireko.drivers.base import Disk, Driver, MachineSpec
from ireko.drivers.qemu import firmware
from ireko.model.image import MIB, NATIVE_SECTOR, Hardware

__all__ = ["driver", "spec"]

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

SIZES = ("cat", "/sys/block/vda/queue/logical_block_size", "/sys/block/vda/queue/physical_block_size")
FOUR = "4096\n4096\n"


@pytest.fixture(scope="module")
def host(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """With the image `native`, which is nano on a disk with sectors of 4096 bytes."""
    disk = tmp_path_factory.mktemp("disks") / "nano.raw"
    host.out("image", "export", "nano", str(disk))
    host.out("image", "import", "--like", "nano", "--sector-size", "4096", str(disk), "native")
    return host


def test_a_guest_sees_them(host: Host, tmp_path: Path) -> None:
    assert host.out("run", "--rm", "native", *SIZES) == FOUR
    host.out("run", "--name", "writer", "native", "sh", "-c", "echo yes > /kept")
    assert "A /kept" in host.out("diff", "writer").splitlines()
    host.out("commit", "writer", "native:2")
    host.out("rm", "writer")
    disk = tmp_path / "native.vhdx"
    host.out("image", "export", "native:2", str(disk))
    assert described(disk).sector_size == NATIVE_SECTOR
    host.out("image", "import", "--like", "nano", str(disk), "again")
    assert host.out("run", "--rm", "again", "cat", "/kept", *SIZES[1:]) == f"yes\n{FOUR}"


def test_a_machine_of_its_own_shows_them(host: Host, tmp_path: Path) -> None:
    host.out("create", "--name", "leaver", "native", *SIZES)
    host.out("promote", "leaver", str(tmp_path / "box"))
    ran = subprocess.run([tmp_path / "box" / "start.sh"], input=b"", capture_output=True, timeout=LIMIT, check=True)
    assert FOUR.replace("\n", "\r\n").encode() in ran.stdout


@pytest.fixture
def system(spec: MachineSpec, tmp_path: Path) -> MachineSpec:
    """A machine whose disk has a file system with such sectors, and on it what the shell of the UEFI firmware runs."""
    if firmware.find() is None:
        give_up(f"there is no UEFI firmware: {firmware.PACKAGE_HINT}")
    if shutil.which("mformat") is None:
        give_up("mtools is not installed: sudo apt-get install mtools")
    raw, script = tmp_path / "disk.raw", tmp_path / "startup.nsh"
    script.write_text("echo started from fs0:\r\n")
    raw.touch()
    sectors = 64 * MIB // NATIVE_SECTOR
    subprocess.run(
        shlex.split(f"mformat -i {raw} -C -M {NATIVE_SECTOR} -t {sectors // 64} -h 4 -s 16 -c 1 ::"), check=True
    )
    subprocess.run(shlex.split(f"mcopy -i {raw} {script} ::"), check=True)
    disk = Disk("root", raw, "raw", sector_size=NATIVE_SECTOR)
    return replace(spec, disks=(disk,), generation=2, memory=256 * MIB)


def prompts(count: int) -> bytes:
    """What the shell has said when it was ready so often; for the script, too."""
    return rb"(?s)^.*?(Shell> .*?){%d}" % count


@pytest.mark.parametrize("hardware", list(Hardware))
async def test_uefi_starts_from_them_and_the_disk_is_frozen(
    hardware: Hardware, driver: Driver, system: MachineSpec, tmp_path: Path
) -> None:
    disk, leaf = system.disks[0], tmp_path / "leaf.qcow2"
    machine = await driver.start(replace(system, hardware=hardware))
    try:
        await seen(machine, prompts(2))
        await machine.write_terminal(b"echo one > fs0:\\one\r")
        await seen(machine, prompts(3))
        before = disk.path.read_bytes()
        driver.disks.create(leaf, parent=disk.path, capacity=64 * MIB, parent_format="raw")
        await machine.switch_disk("root", leaf, disk.path)
        assert await machine.active_disk("root") == leaf
        await machine.write_terminal(b"echo two > fs0:\\two\r")
        await seen(machine, prompts(4))
        assert (await machine.usage()).disk_written > 0
    finally:
        await machine.power_off()
        await machine.close()
    assert disk.path.read_bytes() == before
    with open_layer(leaf) as layer:
        written = [each for each in layer.extents() if each.kind.value == "data"]
    assert written
    assert all(each.offset % NATIVE_SECTOR == each.length % NATIVE_SECTOR == 0 for each in written)
