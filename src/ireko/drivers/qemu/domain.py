"""A machine's description for libvirt.

https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from ireko.drivers.base import StandaloneSpec, Stdio
from ireko.errors import InvalidInput
from ireko.model.image import SECTOR, Hardware

FILE = "domain.xml"

FORMATS = {"qcow2": "qcow2", "raw": "raw", "vpc": "vhd", "vdi": "vdi", "vmdk": "vmdk"}
"""What we call the disk formats that libvirt knows, by its names for them."""

EVENTS = "ctl.log"
"""The file beside the disk that a guest's events go to."""

BLOCK_SIZES = ("logical_block_size", "physical_block_size")
"""What `<blockio>` says of a disk's sectors."""

_KIB = 1 << 10
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TERMINAL = "ua-terminal"
"""libvirt's name for the command's terminal: its own default is the serial console."""


def obstacle(spec: StandaloneSpec) -> str:
    """Why libvirt can't run a machine; "" when it can."""
    if spec.format not in FORMATS.values():
        return f'libvirt knows no disks in the format "{spec.format}"'
    if spec.sector_size != SECTOR and spec.hardware is Hardware.COMMON:
        return f"libvirt knows no real computer's disks with sectors of {spec.sector_size} bytes"
    return ""


def runs_command(spec: StandaloneSpec) -> bool:
    """Whether the machine runs one command, on a terminal of its own."""
    return bool(spec.kernel) and spec.stdio is Stdio.TTY


def check_name(name: str) -> None:
    """Raises InvalidInput for a name that libvirt can't have."""
    if not name.strip() or "/" in name or "\n" in name or _NOT_XML.search(name):
        raise InvalidInput(
            f'"{_NOT_XML.sub("?", name)}" can\'t be a machine\'s name: libvirt takes no "/", no line break, no blank name'
        )


def text(spec: StandaloneSpec, folder: Path, *, accelerator: str, identity: str) -> str:
    """The description of a machine whose files are in a folder. Raises InvalidInput."""
    check_name(spec.name)
    root = ET.Element("domain", {"type": "kvm" if accelerator == "kvm" else "qemu"})
    _add(root, "name", text=spec.name)
    _add(root, "uuid", text=identity)
    if spec.origin:
        _add(root, "description", text=_NOT_XML.sub("?", f"made from {spec.origin}"))
    _add(root, "memory", {"unit": "KiB"}, math.ceil(spec.memory / _KIB))
    _add(root, "vcpu", text=max(1, math.ceil(spec.cpus)))
    _boot(root, spec, folder)
    _processor(root, accelerator)
    _add(root, "on_poweroff", text="destroy")
    with_terminal = runs_command(spec)
    _add(root, "on_reboot", text="destroy" if with_terminal else "restart")
    _add(root, "on_crash", text="destroy")
    devices = _add(root, "devices")
    _disks(devices, spec, folder)
    _network(devices, spec)
    _add(_add(devices, "serial", {"type": "pty"}), "target", {"port": "0"})
    if with_terminal:
        _terminal(root, devices)
    else:
        _add(_add(devices, "console", {"type": "pty"}), "target", {"type": "serial", "port": "0"})
    if spec.kernel:
        _channels(devices, folder)
    else:
        _screen(devices)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, name: str, attributes: Mapping[str, str] | None = None, text: object = None) -> ET.Element:
    element = ET.SubElement(parent, name, dict(attributes or {}))
    if text is not None:
        element.text = str(text)
    return element


def _path(folder: Path, name: str) -> str:
    path = str((folder / name).absolute())
    if _NOT_XML.search(path):
        raise InvalidInput(f"the path {path!r} can't stand in a description for libvirt", hint="choose another folder")
    return path


def _boot(root: ET.Element, spec: StandaloneSpec, folder: Path) -> None:
    boots_by_uefi = not spec.kernel and spec.generation == 2
    boot = _add(root, "os", {"firmware": "efi"} if boots_by_uefi else {})
    _add(boot, "type", {"arch": "x86_64", "machine": "q35"}, "hvm")
    if boots_by_uefi:
        # it would boot only what its keys have signed
        _add(_add(boot, "firmware"), "feature", {"enabled": "no", "name": "secure-boot"})
    if spec.kernel:
        _add(boot, "kernel", text=_path(folder, spec.kernel))
        if spec.initrd:
            _add(boot, "initrd", text=_path(folder, spec.initrd))
        _add(boot, "cmdline", text=_NOT_XML.sub("", spec.append))


def _processor(root: ET.Element, accelerator: str) -> None:
    features = _add(root, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if accelerator == "kvm":
        _add(root, "cpu", {"mode": "host-passthrough"})
    else:
        _add(_add(root, "cpu", {"mode": "maximum"}), "feature", {"policy": "disable", "name": "la57"})
    _add(root, "clock", {"offset": "utc"})


def _disks(devices: ET.Element, spec: StandaloneSpec, folder: Path) -> None:
    common = spec.hardware is Hardware.COMMON
    formats = {ours: theirs for theirs, ours in FORMATS.items()}
    target = {"dev": "sda", "bus": "sata"} if common else {"dev": "vda", "bus": "virtio"}
    disk = _disk(devices, formats[spec.format], _path(folder, spec.disk), target, serial="root")
    _add(disk, "boot", {"order": "1"})
    if spec.sector_size != SECTOR:
        _add(disk, "blockio", dict.fromkeys(BLOCK_SIZES, str(spec.sector_size)))
    if spec.seed:
        seed = _disk(devices, "raw", _path(folder, spec.seed), {"dev": "vdb", "bus": "virtio"}, serial="seed")
        _add(seed, "readonly")


def _disk(devices: ET.Element, driver: str, path: str, target: Mapping[str, str], *, serial: str) -> ET.Element:
    disk = _add(devices, "disk", {"type": "file", "device": "disk"})
    _add(disk, "driver", {"name": "qemu", "type": driver, "discard": "unmap"})
    _add(disk, "source", {"file": path})
    _add(disk, "target", target)
    _add(disk, "serial", text=serial)
    return disk


def _network(devices: ET.Element, spec: StandaloneSpec) -> None:
    # the network that every user may have, with the addresses that seeds name
    interface = _add(devices, "interface", {"type": "user"})
    if spec.mac:
        _add(interface, "mac", {"address": spec.mac})
    _add(interface, "model", {"type": "e1000e" if spec.hardware is Hardware.COMMON else "virtio"})


def _screen(devices: ET.Element) -> None:
    """For a system that may not use the serial console."""
    _add(_add(devices, "video"), "model", {"type": "vga"})
    _add(devices, "graphics", {"type": "vnc", "autoport": "yes", "listen": "127.0.0.1"})


def _channels(devices: ET.Element, folder: Path) -> None:
    """The ports of the guest interface that must be there."""
    # what a guest writes to a port that is not open on the host's side waits for ever: events need a file to go to
    events = _add(devices, "channel", {"type": "file"})
    _add(events, "source", {"path": _path(folder, EVENTS)})
    _add(events, "target", {"type": "virtio", "name": "ireko.ctl"})
    _add(_add(devices, "channel", {"type": "null"}), "target", {"type": "virtio", "name": "ireko.ssh"})


def _terminal(root: ET.Element, devices: ET.Element) -> None:
    """The command's terminal: the first console, with the name that the guest interface has for it."""
    console = _add(devices, "console", {"type": "pty"})
    _add(console, "target", {"type": "virtio", "port": "0"})
    _add(console, "alias", {"name": TERMINAL})
    ET.register_namespace("qemu", _QEMU)
    device = _add(_add(root, f"{{{_QEMU}}}override"), f"{{{_QEMU}}}device", {"alias": TERMINAL})
    frontend = _add(device, f"{{{_QEMU}}}frontend")
    _add(frontend, f"{{{_QEMU}}}property", {"name": "name", "type": "string", "value": "ireko.tty"})
