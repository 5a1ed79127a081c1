"""What `doctor` and `info` are told about this host."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

from ireko.drivers.base import Finding, Level
from ireko.drivers.qemu.firmware import PACKAGE_HINT, Firmware
from ireko.drivers.qemu.probe import Accelerator
from ireko.drivers.qemu.shares import Sharing

_OLDEST = (7, 2)
_LOW_MEMORY = 512 << 20
_ENOUGH_FILES = 1024
_GIB = 1 << 30


def of_qemu(program: str, version: str) -> Finding:
    """Whether QEMU is there, and new enough. `version` "" means that it is not there."""
    install = "sudo apt-get install qemu-system-x86 qemu-utils"
    if not version:
        return Finding("qemu", Level.ERROR, f'"{program}" is not installed', install)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST:
        return Finding("qemu", Level.ERROR, f"version {version}; 7.2 or newer is needed", install)
    return Finding("qemu", Level.OK, f"version {version}")


def of_accelerator(accelerator: Accelerator) -> Finding:
    """Which accelerator works, and why not a better one."""
    if not accelerator.reason:
        return Finding("accelerator", Level.OK, f"{accelerator.name} works")
    return Finding(
        "accelerator",
        Level.WARNING,
        f"{accelerator.name} (software emulation, guests are some 10 times slower): {accelerator.reason}",
        accelerator.hint,
    )


def of_sharing(sharing: Sharing) -> Finding:
    """Whether folders of the host can be shared with guests."""
    if sharing.program:
        return Finding("shared folders", Level.OK, f"virtiofs by {sharing.program}")
    return Finding(
        "shared folders", Level.WARNING, f"{sharing.reason}: folders are copied into guests instead", sharing.hint
    )


def of_firmware(firmware: Firmware | None) -> Finding:
    """Whether machines can boot by UEFI."""
    if firmware is not None:
        return Finding("firmware", Level.OK, f"BIOS, and UEFI by {firmware.code.filename}")
    found = "BIOS alone: what boots by UEFI from its own disk can't be started"
    return Finding("firmware", Level.WARNING, found, PACKAGE_HINT)


def of_memory(meminfo: Path = Path("/proc/meminfo")) -> Finding:
    """Whether there is memory for a guest."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    free = int(match[1]) * 1024 if match else 0
    found = f"{free / _GIB:.1f} GiB free"
    if free < _LOW_MEMORY:
        return Finding("memory", Level.WARNING, found, "stop machines, or give them less with --memory")
    return Finding("memory", Level.OK, found)


def of_open_files() -> Finding:
    """Whether one process may hold the files of many machines."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _ENOUGH_FILES:
        return Finding("open files", Level.WARNING, f"at most {most}", f"ulimit -n {_ENOUGH_FILES}, or more")
    return Finding("open files", Level.OK, "no limit" if most == resource.RLIM_INFINITY else f"at most {most}")


def of_processors() -> Finding:
    """How many processors there are for guests."""
    return Finding("processors", Level.OK, str(len(os.sched_getaffinity(0))))
