"""What runs, and what it holds open, as /proc tells it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def inside(folder: Path) -> Iterator[int]:
    """The processes that work in a folder: a machine's do in its container's."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink().is_relative_to(folder):
                    yield int(entry.name)


def command_line(pid: int) -> list[str]:
    """A process's program and arguments. Raises OSError."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").rstrip("\0").split("\0")


def opened(pid: int) -> list[str]:
    """What the descriptors of a process stand for; nothing when it is gone."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.append(str(entry.readlink()))
    return found


def listening() -> Iterator[str]:
    """The TCP sockets that listen, by inode."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A":
                    yield words[9]
