"""Which accelerator really works: seen by running something under it, and remembered until the host changes.

A device file proves nothing: where KVM runs inside a virtual machine without the processor's help, guests may hang or
crawl. So a machine boots its firmware and a sector that ends it, within a limit that working hardware needs a tenth of. A
busy host is slow at everything, so the limit grows with what the same takes in software.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from ireko.drivers.qemu.memory import Memory, boot_id
from ireko.errors import ProgramFailed, TimedOut
from ireko.host import process

_LIMIT = 2.0  # seconds
_LONGEST = 60.0  # seconds; the emulator needs half of one
_DISK = 1 << 20  # the firmware reads no disk that is smaller than a cylinder
_PORT = 0xF4
_VALUE = 0x10
_EXIT_CODE = _VALUE << 1 | 1  # what isa-debug-exit makes of it
# mov dx, PORT; mov al, VALUE; out dx, al; again: hlt; jmp again
_CODE = bytes([0xBA, _PORT, 0x00, 0xB0, _VALUE, 0xEE, 0xF4, 0xEB, 0xFD])
_DEVICE = Path("/dev/kvm")
_MEMORY_NAME = "accelerator.json"


@dataclass(frozen=True)
class Accelerator:
    """`name` is what QEMU calls it; `reason` says why it is not a better one, "" when there is none; `hint` what to do."""

    name: str
    reason: str = ""
    hint: str = ""


async def choose(program: str, version: str, *, state: Path) -> Accelerator:
    """The best accelerator that works; remembered in the folder `state`."""
    memory = Memory(state / _MEMORY_NAME, Accelerator)
    return await memory.recall(_fingerprint(version), lambda: _try_all(program, state))


def _fingerprint(version: str) -> str:
    """What can change the answer."""
    return "|".join((version, platform.release(), boot_id(), _device_state(), str(os.geteuid())))


def _device_state() -> str:
    if not _DEVICE.exists():
        return "missing"
    return "allowed" if os.access(_DEVICE, os.R_OK | os.W_OK) else "denied"


async def _try_all(program: str, state: Path) -> Accelerator:
    match _device_state():
        case "missing":
            return Accelerator(
                "tcg",
                "this host has no /dev/kvm",
                "turn on virtualisation in its firmware (in the hypervisor's settings when it is a virtual machine), "
                "then: modprobe kvm_intel || modprobe kvm_amd",
            )
        case "denied":
            return Accelerator("tcg", "you may not open /dev/kvm", "sudo usermod -aG kvm $USER, then log in again")
    reason = await try_kvm(program, state)
    if not reason:
        return Accelerator("kvm")
    return Accelerator("tcg", reason, "nested virtualisation has to be turned on in the hypervisor below this host")


async def try_kvm(program: str, state: Path, *, least: float = _LIMIT) -> str:
    """Why KVM does not work; "" when it does. It is waited for twice as long as for the emulator, `least` seconds at least."""
    disk = state / "probe.img"
    disk.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(_DISK - 512))
    limit = least
    try:
        limit = max(least, 2 * await _seconds_in_software(program, disk))
        await process.run(*_arguments(program, disk, accelerator="kvm", processor="host"), timeout=limit)
    except TimedOut:
        return f"/dev/kvm is there, but a guest that needs a tenth of a second hangs for more than {limit:.1f}"
    except ProgramFailed as error:
        if error.exit_code == _EXIT_CODE:
            return ""
        return f"/dev/kvm is there, but does not work: {error.message}"
    finally:
        disk.unlink(missing_ok=True)
    return "/dev/kvm is there, but a guest ended before it began"


async def _seconds_in_software(program: str, disk: Path) -> float:
    begun = time.monotonic()
    with contextlib.suppress(ProgramFailed, TimedOut):  # what ends it as it should is no program's success
        await process.run(*_arguments(program, disk, accelerator="tcg", processor="max"), timeout=_LONGEST)
    return time.monotonic() - begun


def _arguments(program: str, disk: Path, *, accelerator: str, processor: str) -> tuple[str | Path, ...]:
    drive = f"if=none,id=disk,format=raw,readonly=on,file={disk}".replace(",,", ",")
    return (
        *(program, "-machine", "q35", "-accel", accelerator, "-cpu", processor, "-m", "32M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-drive", drive, "-device", "virtio-blk-pci,drive=disk"),
        *("-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=4"),
    )
