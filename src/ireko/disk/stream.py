"""A disk as a binary stream that can be sought in: for everything that reads files."""

from __future__ import annotations

import io
import os
from typing import Protocol

from ireko.disk.files import WritableBuffer


class Readable(Protocol):
    """Anything with a disk's content: a layer, or what a chain shows."""

    def read_into(self, offset: int, buffer: WritableBuffer) -> None:
        """Fill a buffer from an offset."""


class DiskStream(io.RawIOBase):
    """Reads a disk of `size` bytes from where it stands; closing it leaves the disk open."""

    def __init__(self, disk: Readable, size: int) -> None:
        super().__init__()
        self._disk = disk
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where it stands."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stand somewhere else; behind the end there is nothing to read."""
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in bases or bases[whence] + offset < 0:
            raise ValueError(f"can't seek to {offset} by {whence}")
        self._position = bases[whence] + offset
        return self._position

    def readinto(self, buffer: WritableBuffer) -> int:  # type: ignore[override]  # any writable buffer, as callers have it
        """Fill a buffer, as far as the disk goes."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._position))
        self._disk.read_into(self._position, view[:count])
        self._position += count
        return count
