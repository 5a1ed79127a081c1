"""Descriptions for libvirt: held to its own schema, its own program, and our own reading of them."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import give_up
from tests.unit.drivers_qemu.conftest import ODD

from ireko.drivers.base import ExistingDisk, ExistingMachine, StandaloneSpec, Stdio
from ireko.drivers.qemu import domain, existing
from ireko.errors import InvalidInput
from ireko.model.image import MIB, Hardware

IDENTITY = "16f7497a-cc9a-4e5a-b393-678513458691"
FOLDER = Path("/srv/a \"b\" 'c', <d> & 入れ子")


def text(spec: StandaloneSpec, accelerator: str = "tcg") -> str:
    return domain.text(spec, FOLDER, accelerator=accelerator, identity=IDENTITY)


def check(described: str, folder: Path) -> None:
    """libvirt's own schema, and its own program: the test driver takes what the parser does."""
    if shutil.which("virsh") is None or shutil.which("virt-xml-validate") is None:
        give_up("libvirt's programs are not installed: sudo apt-get install libvirt-clients libxml2-utils")
    path = folder / "domain.xml"
    path.write_text(described)
    subprocess.run(["virt-xml-validate", path, "domain"], check=True, capture_output=True)
    subprocess.run(["virsh", "-q", "-c", "test:///default", "define", path], check=True, capture_output=True)


CASES = {
    "bios": {},
    "uefi": {"generation": 2},
    "common": {"generation": 2, "hardware": Hardware.COMMON},
    "native": {"generation": 2, "sector_size": 4096},
    "odd": {"name": ODD, "disk": f"{ODD}.raw", "format": "raw", "origin": f"{ODD}\x1b"},
    "vhd": {"format": "vhd", "mac": ""},
    "command": {"kernel": "kernel", "initrd": "initrd", "append": 'quiet say="a b"', "seed": "seed.tar"},
    "system": {"kernel": "kernel", "initrd": "initrd", "append": "q", "seed": "seed.tar", "stdio": Stdio.CONSOLE},
}


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
@pytest.mark.parametrize("case", CASES)
def test_libvirt_takes_it(case: str, accelerator: str, machine: Callable[..., StandaloneSpec], tmp_path: Path) -> None:
    check(text(machine(**CASES[case]), accelerator), tmp_path)


@pytest.mark.parametrize("case", ["bios", "uefi", "common", "native", "odd", "vhd"])
def test_what_is_written_is_read_again(case: str, machine: Callable[..., StandaloneSpec]) -> None:
    spec = machine(**CASES[case])
    assert existing.read(text(spec), source="it") == ExistingMachine(
        name=spec.name,
        disks=(ExistingDisk(FOLDER / spec.disk, spec.format, spec.sector_size),),
        cpus=2,
        memory=512 * MIB,
        generation=spec.generation,
        hardware=spec.hardware,
        running=False,
    )


def test_uefi_boots_what_nobody_signed(machine: Callable[..., StandaloneSpec]) -> None:
    boot = ET.fromstring(text(machine(generation=2))).find("os")
    assert boot is not None
    assert boot.get("firmware") == "efi"
    feature = boot.find("firmware/feature")
    assert feature is not None
    assert feature.attrib == {"enabled": "no", "name": "secure-boot"}


def test_a_command_has_the_devices_that_the_guest_interface_names(command_machine: StandaloneSpec) -> None:
    root = ET.fromstring(text(command_machine))
    assert [each.text for each in root.iterfind("devices/disk/serial")] == ["root", "seed"]
    assert [each.get("name") for each in root.iterfind("devices/channel/target")] == ["ireko.ctl", "ireko.ssh"]
    assert root.findtext("os/cmdline") == 'quiet say="a b"'
    assert root.findtext("os/kernel") == str(FOLDER / "kernel")
    console = root.find("devices/console/target")
    assert console is not None
    assert console.get("type") == "virtio"
    (name,) = root.iter("{http://libvirt.org/schemas/domain/qemu/1.0}property")
    assert name.get("value") == "ireko.tty"


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\nb", "a\x00", "\x1b[1m", "\udcff"])
def test_names_that_libvirt_can_t_have(name: str, machine: Callable[..., StandaloneSpec]) -> None:
    with pytest.raises(InvalidInput):
        text(machine(name=name))


@pytest.mark.parametrize("disk", ["a\x01.qcow2", "a\udcff.qcow2"])
def test_paths_that_can_t_be_described(disk: str, machine: Callable[..., StandaloneSpec]) -> None:
    with pytest.raises(InvalidInput, match="path"):
        text(machine(disk=disk))
