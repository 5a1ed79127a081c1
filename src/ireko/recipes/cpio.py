"""Archives that the kernel unpacks as its first root file system: cpio in the "newc" format.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"
_BLOCK = 512


class Cpio:
    """An archive that is built in memory. Owners are root, times are 0: the same content gives the same bytes."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._inode = 0
        self._folders: set[str] = set()

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder, and those above it that are missing."""
        for parent in reversed(PurePosixPath(path).parents):
            self._one_folder(str(parent), 0o755)
        self._one_folder(path, mode)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._above(path)
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._above(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, *, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a device node."""
        self._above(path)
        self._entry(path, stat.S_IFCHR | mode, device=(major, minor))

    def finish(self) -> bytes:
        """The whole archive."""
        self._inode = -1
        self._entry(_TRAILER, 0)
        self._pad(_BLOCK)
        return bytes(self._out)

    def _above(self, path: str) -> None:
        self.folder(str(PurePosixPath(path).parent))

    def _one_folder(self, path: str, mode: int) -> None:
        if path != "." and path not in self._folders:
            self._folders.add(path)
            self._entry(path, stat.S_IFDIR | mode)

    def _entry(self, path: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        name = path.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self._out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self._pad(4)
        self._out += data
        self._pad(4)

    def _pad(self, size: int) -> None:
        self._out += bytes(-len(self._out) % size)
