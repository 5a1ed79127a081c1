"""How a machine ended, from what it left in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from ireko.drivers.base import Ended
from ireko.drivers.qemu import files

_TAIL = 64 * 1024
_GUEST_SHUTDOWN = "6"  # QEMU's ShutdownCause: the guest powered off by itself
_SHUTDOWN = re.compile(r"qemu_system_shutdown_request reason=(\d+)")
# what QEMU says that explains nothing
_IDLE_WORDS = re.compile(r"qemu_system_shutdown_request|warning: host doesn't support|terminating on signal")


def read(directory: Path) -> Ended:
    """How the last machine of this folder ended."""
    code, said = _guest_end(tail(directory / files.EVENTS))
    words = tail(directory / files.HYPERVISOR)
    powered_off = any(cause == _GUEST_SHUTDOWN for cause in _SHUTDOWN.findall(words))
    return Ended(exit_code=code, reason=said or last_words(words), clean=powered_off)


def _guest_end(events: str) -> tuple[int | None, str]:
    """The exit code and the reason that the guest gave."""
    code, reason = None, ""
    for line in events.splitlines():
        event, _, rest = line.partition(" ")
        if event == "exit" and rest.isdigit():
            code, reason = int(rest), ""
        elif event == "failed":
            number, _, reason = rest.partition(" ")
            code = int(number) if number.isdigit() else 127
        elif event == "error":
            code, reason = None, rest
    return code, reason


def last_words(words: str) -> str:
    """The last thing QEMU said that explains anything."""
    lines = [line for line in words.splitlines() if line.strip() and not _IDLE_WORDS.search(line)]
    return lines[-1].removeprefix("qemu-system-x86_64: ") if lines else ""


def has_event(directory: Path, event: str) -> bool:
    """Whether the guest of the present run has told of an event."""
    return any(line.partition(" ")[0] == event for line in tail(directory / files.EVENTS).splitlines())


def tail(path: Path) -> str:
    """The end of a text file; nothing when it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
