"""QEMU's command line for a machine.

https://www.qemu.org/docs/master/system/invocation.html; the names of ports and disks are those of `docs/guest-interface.md`.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from pathlib import Path

from ireko.drivers.base import Disk, MachineSpec, Share, Stdio
from ireko.drivers.qemu import files, hardware
from ireko.drivers.qemu.firmware import Firmware
from ireko.model.container import PortMapping

PROGRAM = "qemu-system-x86_64"
_MIB = 1 << 20
_TRANSLATION_CACHE = 128  # MiB; without a limit one guest's grows to a gigabyte
_SHUTDOWN_TRACE = "qemu_system_shutdown_request"

DRIVERS = {"vhd": "vpc"}
"""What QEMU calls disk formats, where that is not what we call them."""


def arguments(
    spec: MachineSpec,
    *,
    accelerator: str,
    ports: tuple[PortMapping, ...],
    monitor: int,
    program: str = PROGRAM,
    firmware: Firmware | None = None,
) -> list[str]:
    """The program and its arguments. `ports` have their host ports; `monitor` is the listening descriptor it inherits.

    With `firmware` the machine boots by it, and has a copy of its variables in its folder.
    """
    return [
        program,
        *_machine(spec, accelerator, firmware),
        *_monitor(monitor),
        *_boot(spec, firmware),
        *_disks(spec),
        *(word for share in spec.shares for word in _share(share)),
        *(_network(spec, ports) if spec.network else ()),
        *_ports(spec.stdio),
    ]


def node(serial: str, generation: int = 0) -> str:
    """The name of a disk's block node; each live snapshot puts the next generation on top."""
    return f"{serial}.{generation}"


def device(serial: str) -> str:
    """The name of a disk's device."""
    return f"disk-{serial}"


def file_node(name: str) -> str:
    """The name of the node below a block node, that holds the file itself."""
    return f"{name}.file"


def disk_nodes(disk: Disk, generation: int = 0) -> tuple[dict[str, object], dict[str, object]]:
    """The two block nodes of a disk, the file first, as `-blockdev` and `blockdev-add` take them.

    Writes go through the host's page cache, and to the disk itself when the guest asks for it: as fast as can be and
    safe against a crash of the host. The parents of a layer are opened by QEMU, from what the layer's header says.
    """
    name = node(disk.serial, generation)
    common: dict[str, object] = {"read-only": True} if disk.read_only else {"auto-read-only": True}
    if not disk.read_only:
        common["discard"] = "unmap"
    file = {"driver": "file", "node-name": file_node(name), "filename": str(disk.path), **common}
    top = {"driver": DRIVERS.get(disk.format, disk.format), "node-name": name, "file": file_node(name), **common}
    if not disk.read_only:
        top["detect-zeroes"] = "unmap"
    return file, top


def flash_nodes(firmware: Firmware, code: str, variables: str) -> Iterator[dict[str, object]]:
    """The block nodes of a UEFI firmware, whose files are those of these names."""
    for name, driver, file, fixed in (
        ("code", firmware.code.format, code, True),
        ("variables", firmware.variables.format, variables, False),
    ):
        below = {"driver": "file", "filename": file, "read-only": fixed}
        yield {"driver": driver, "node-name": name, "read-only": fixed, "file": below}


def flash_options() -> tuple[str, str]:
    """What of `-machine` has a machine boot by these nodes."""
    return "pflash0=code", "pflash1=variables"


def forward(port: PortMapping) -> str:
    """What of `-netdev user` publishes a port."""
    return f"hostfwd={port.protocol}:{port.host_ip}:{port.host_port}-:{port.port}"


def escape(value: str) -> str:
    """A value for QEMU's comma-separated options."""
    return value.replace(",", ",,")


def _machine(spec: MachineSpec, accelerator: str, firmware: Firmware | None) -> Iterator[str]:
    tuning = f",tb-size={_TRANSLATION_CACHE}" if accelerator == "tcg" else ""
    yield from ("-name", f"guest={escape(spec.id)}")
    yield from ("-uuid", str(uuid.uuid5(uuid.NAMESPACE_OID, spec.id)))
    options = ["q35", "usb=off", "vmport=off", "smbus=off", "graphics=off", *(flash_options() if firmware else ())]
    if spec.shares:
        options.append("memory-backend=memory")
    yield from ("-machine", ",".join(options))
    yield from ("-accel", f"{accelerator}{tuning}", "-cpu", "host" if accelerator == "kvm" else "max,la57=off")
    yield from ("-smp", str(max(1, math.ceil(spec.cpus))), "-m", f"{math.ceil(spec.memory / _MIB)}M")
    if spec.shares:
        yield from ("-object", f"memory-backend-memfd,id=memory,size={math.ceil(spec.memory / _MIB)}M,share=on")
    yield from ("-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc")
    yield from ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    # tells afterwards, even when nobody watched, who ended the machine
    yield from ("-trace", f"enable={_SHUTDOWN_TRACE}")
    if spec.stdio is not Stdio.CONSOLE:
        yield "-no-reboot"  # a command's machine runs once; a kernel that panics ends it


def _monitor(descriptor: int) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=monitor,fd={descriptor},server=on,wait=off")
    yield from ("-mon", "chardev=monitor,mode=control")


def _boot(spec: MachineSpec, firmware: Firmware | None) -> Iterator[str]:
    if firmware is not None:
        for node in flash_nodes(firmware, firmware.code.filename, files.VARIABLES):
            yield from ("-blockdev", json.dumps(node, ensure_ascii=False))
    if spec.kernel is not None:
        yield from ("-kernel", str(spec.kernel))
        if spec.initrd is not None:
            yield from ("-initrd", str(spec.initrd))
        if spec.append:
            yield from ("-append", spec.append)


def _disks(spec: MachineSpec) -> Iterator[str]:
    for controller in hardware.controllers(spec.hardware, len(spec.disks)):
        yield from ("-device", controller)
    for number, disk in enumerate(spec.disks):
        kind = hardware.disk(spec.hardware, number, read_only=disk.read_only, sector_size=disk.sector_size)
        yield from _disk(disk, kind)


def _disk(disk: Disk, kind: str) -> Iterator[str]:
    for options in disk_nodes(disk):
        yield from ("-blockdev", json.dumps(options, ensure_ascii=False))
    first = ",bootindex=1" if disk.serial == "root" else ""
    # enospc: when the host's disk is full the guest is paused, and told of no error
    errors = ",werror=enospc" if hardware.can_wait(kind) and not disk.read_only else ""
    where = f"drive={node(disk.serial)},id={device(disk.serial)},serial={disk.serial}"
    yield from ("-device", f"{kind},{where}{errors}{first}")


def _share(share: Share) -> Iterator[str]:
    yield from ("-chardev", f"socket,id={share.tag},path={files.share_socket(share.tag)}")
    yield from ("-device", f"vhost-user-fs-pci,chardev={share.tag},tag={share.tag},queue-size=1024")


def _network(spec: MachineSpec, ports: tuple[PortMapping, ...]) -> Iterator[str]:
    rules = "".join(f",{forward(port)}" for port in ports)
    yield from ("-netdev", f"user,id=net{rules}")
    mac = f",mac={spec.mac}" if spec.mac else ""
    yield from ("-device", f"{hardware.network(spec.hardware)}{mac}")


def _ports(stdio: Stdio) -> Iterator[str]:
    """The serial line and the named ports; what is appended to belongs to all runs, the rest to this one."""
    kept = f"logfile={files.STDOUT},logappend=on"
    terminal = f"socket,id=terminal,path={files.TERMINAL},server=on,wait=off,{kept}"
    if stdio is Stdio.CONSOLE:
        yield from ("-chardev", terminal, "-serial", "chardev:terminal")
    else:
        yield from ("-chardev", f"file,id=serial,path={files.CONSOLE}", "-serial", "chardev:serial")
    yield from ("-device", "virtio-serial-pci,id=ports")
    if stdio is Stdio.TTY:
        yield from ("-chardev", terminal, "-device", "virtconsole,chardev=terminal,name=ireko.tty")
    yield from _port("ssh", f"socket,id=ssh,path={files.CHANNEL},server=on,wait=off")
    yield from _port("ctl", f"file,id=ctl,path={files.EVENTS},append=on")
    if stdio in {Stdio.PIPES, Stdio.STDIN}:
        yield from _port("stdout", f"file,id=stdout,path={files.STDOUT},append=on")
        yield from _port("stderr", f"file,id=stderr,path={files.STDERR},append=on")


def _port(name: str, chardev: str) -> Iterator[str]:
    yield from ("-chardev", chardev, "-device", f"virtserialport,chardev={name},name=ireko.{name}")


def switched_disk(serial: str, path: Path, *, disk_format: str, generation: int) -> tuple[dict[str, object], ...]:
    """The block nodes of a leaf that goes on top of what a running machine writes to."""
    file, top = disk_nodes(Disk(serial, path, disk_format), generation)
    # the parent is open already: QEMU puts this on top of it and must not open it once more
    return file, {**top, "backing": None}
