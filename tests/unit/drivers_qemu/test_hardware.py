"""Devices by hardware, and the command line that has them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ireko.drivers.base import Disk, MachineSpec, Stdio
from ireko.drivers.qemu import command
from ireko.drivers.qemu.firmware import Firmware, FirmwareFile
from ireko.model.image import MIB, Hardware

FIRMWARE = Firmware(FirmwareFile("/usr/share/code, 1.fd", "raw"), FirmwareFile("/usr/share/variables.qcow2", "qcow2"))


def arguments(
    hardware: Hardware, disks: int = 1, firmware: Firmware | None = None, *, sector_size: int = 512
) -> list[str]:
    spec = MachineSpec(
        id="1" * 64,
        name="web",
        directory=Path("/somewhere"),
        cpus=1,
        memory=256 * MIB,
        disks=(
            Disk("root", Path("/disks/0.qcow2"), "qcow2", sector_size=sector_size),
            *(Disk(f"vol-{n}", Path(f"/disks/{n}.qcow2"), "qcow2") for n in range(1, disks)),
            Disk("seed", Path("/disks/seed.tar"), "raw", read_only=True),
        ),
        stdio=Stdio.CONSOLE,
        mac="52:54:00:11:22:33",
        hardware=hardware,
    )
    return command.arguments(spec, accelerator="tcg", ports=(), monitor=3, firmware=firmware)


def devices(words: list[str]) -> list[str]:
    return [word for option, word in itertools.pairwise(words) if option == "-device"]


def test_the_hypervisor_s_own() -> None:
    found = devices(arguments(Hardware.VIRTUAL, 2))
    assert [each.split(",")[0] for each in found[:4]] == ["virtio-blk-pci"] * 3 + ["virtio-net-pci"]


def test_those_of_a_real_computer() -> None:
    found = devices(arguments(Hardware.COMMON, 7))
    assert found[0] == "ich9-ahci,id=ahci1"
    buses = [word.split(",")[1] for word in found if word.startswith("ide-hd")]
    assert buses == [*(f"bus=ide.{n}" for n in range(6)), "bus=ahci1.0"]
    assert "serial=root" in found[1]
    assert "bootindex=1" in found[1]
    # a real disk can always be written to
    assert [word.split(",")[2] for word in found if word.startswith("virtio-blk")] == ["id=disk-seed"]
    assert "e1000e,netdev=net,romfile=,mac=52:54:00:11:22:33" in found


@pytest.mark.parametrize(
    ("hardware", "device"),
    [
        (Hardware.VIRTUAL, "virtio-blk-pci,{},drive=root.0,id=disk-root,serial=root,werror=enospc,bootindex=1"),
        (Hardware.COMMON, "nvme,{},drive=root.0,id=disk-root,serial=root,bootindex=1"),
    ],
)
def test_sectors_of_4096_bytes(hardware: Hardware, device: str) -> None:
    found = devices(arguments(hardware, 2, sector_size=4096))
    assert found[0] == device.format("logical_block_size=4096,physical_block_size=4096")
    assert sum("block_size" in each for each in found) == 1  # the others have those that disks mostly have


@pytest.mark.parametrize(("disks", "controllers"), [(1, 0), (5, 0), (6, 1), (11, 1), (12, 2)])
def test_controllers(disks: int, controllers: int) -> None:
    found = devices(arguments(Hardware.COMMON, disks))
    assert sum(word.startswith("ich9-ahci") for word in found) == controllers


def test_firmware() -> None:
    words = arguments(Hardware.VIRTUAL, firmware=FIRMWARE)
    assert "pflash0=code,pflash1=variables" in words[words.index("-machine") + 1]
    code, variables = (word for word in words if '"node-name": "code"' in word or '"node-name": "variables"' in word)
    assert '"filename": "/usr/share/code, 1.fd"' in code
    assert '"read-only": true' in code
    assert '"driver": "qcow2"' in variables
    assert '"filename": "uefi-variables"' in variables
    assert "pflash" not in " ".join(arguments(Hardware.VIRTUAL))
