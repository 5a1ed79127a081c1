"""What `info` tells about the host itself, as far as this system says it."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from ireko.api.encode.times import rfc3339


@dataclass(frozen=True)
class Facts:
    """`memory` in bytes, 0 where it is not known."""

    operating_system: str
    processors: int
    memory: int
    time: str


def facts() -> Facts:
    """As they are now."""
    return Facts(_operating_system(), os.cpu_count() or 1, _memory(), rfc3339(datetime.now(UTC)))


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _memory() -> int:
    if sys.platform == "win32":
        return 0
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
