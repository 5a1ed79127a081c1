"""Files that are read and written by offset, on every system.

Windows knows no pread: there a lock and a seek do the same. Errors of the operating system become ours here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ireko.disk.closing import Closing
from ireko.disk.errors import DiskDamaged, DiskUnsupported, file_error

Buffer = bytes | bytearray | memoryview
WritableBuffer = bytearray | memoryview

_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


_SMALL = 1 << 20
_NOWHERE = 1 << 62
"""More than any file has."""


class Copies(Protocol):
    """Copies between files that may still be to be done."""

    def wait(self) -> None:
        """Return when all are done. Raises what the first that failed did."""

    def leave(self, file: DiskFile) -> None:
        """Return when nothing is to be done any more with a file that is to be closed.

        Copies from it are done, and what fails is raised by `wait`; those into it are given up.
        """


def real_path(path: Path) -> Path:
    """Where a symbolic link leads to in the end; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


class Copier(Protocol):
    """Copies into one file, sooner or later."""

    def add(self, source: DiskFile, source_offset: int, target_offset: int, length: int) -> None:
        """Take a copy over."""


class DiskFile(Closing):
    """An open file, to be read and written at any offset; several threads may do so at once.

    All calls raise the errors of `file_error`, which name the file as it is `called`, by default by its path.
    """

    def __init__(self, path: Path, flags: int = os.O_RDONLY, mode: int = 0o600, *, called: Path | None = None) -> None:
        self.path = called or path
        self._descriptor = _open(path, flags, mode, self.path)
        self._raw = io.FileIO(self._descriptor, "rb+" if flags & os.O_RDWR else "rb", closefd=True)
        self._seek = threading.Lock()
        self._map = _HoleMap()
        self.copies: set[Copies] = set()
        """What still uses the file behind the back of whoever has it."""
        self.copier: Copier | None = None
        """What copies into this file are left to, if to anything."""

    @property
    def descriptor(self) -> int:
        """For the kernel's own ways of copying."""
        return self._descriptor

    def length(self) -> int:
        """Bytes in the file, asked of the system."""
        try:
            with self._seek:
                return os.lseek(self._descriptor, 0, os.SEEK_END)  # a block device's too
        except OSError as error:
            raise file_error(self.path, error) from error

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        """Fill a buffer from an offset; the count is smaller than the buffer only where the file ends."""
        view = memoryview(buffer)
        done = 0
        if offset >= _NOWHERE:  # a claim of the file's that no file can hold
            return 0
        try:
            while done < len(view) and (count := self._read_some(offset + done, view[done:])):
                done += count
        except OSError as error:
            raise file_error(self.path, error) from error
        return done

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at an offset, fewer only where the file ends."""
        if length > _SMALL:  # a length may be a claim of the file's
            length = max(0, min(length, self.length() - offset))
        if offset >= _NOWHERE:
            return b""
        data = self._read_bytes(offset, length)
        if len(data) < length:
            buffer = bytearray(length)
            data = bytes(memoryview(buffer)[: self.read_into(offset, buffer)])
        return data

    def read_exactly(self, offset: int, length: int, structure: str) -> bytes:
        """All bytes of a structure. Raises DiskDamaged when the file ends before them."""
        data = self.read(offset, length)
        if len(data) < length:
            found = f"cut off after {len(data)} bytes"
            raise DiskDamaged(self.path, structure, offset=offset, found=found, wanted=f"{length} bytes long")
        return data

    def write(self, offset: int, data: Buffer) -> None:
        """Write all of the data at an offset."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += self._write_some(offset + done, view[done:])
        except OSError as error:
            raise file_error(self.path, error) from error

    def grow(self, length: int) -> None:
        """Make the file at least so long; what is new reads as zeros and takes no room where the file system can do that."""
        try:
            if self.length() < length:
                self._raw.truncate(length)
        except OSError as error:
            raise file_error(self.path, error) from error

    def finish_copies(self) -> None:
        """Have the copies that still use this file done before this returns. Raises what the first that failed did."""
        for copies in tuple(self.copies):
            copies.wait()

    def sync(self) -> None:
        """Have everything on the disk before this returns, copies into this file that are still to be done included."""
        self.finish_copies()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise file_error(self.path, error) from error

    def begin_writing(self, start: int, end: int) -> None:
        """Have the system begin to put what was written between two offsets on the disk, where it can be asked to."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # it is an advice
                os.posix_fadvise(self._descriptor, start, end - start, os.POSIX_FADV_DONTNEED)

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the file system holds data between two offsets, as (start, end); the rest are holes and reads as zeros.

        Where the system can't tell, everything is data.
        """
        while start < end:
            first, start = self.next_data(start, end)
            if first < start:
                yield first, start

    def next_data(self, start: int, end: int) -> tuple[int, int]:
        """The first of the `data_ranges`; `end` twice when there is none."""
        if start >= _NOWHERE:
            return end, end
        data, hole = self._map.lookup(self._descriptor, start)
        if hole == _NOWHERE:
            hole = self.length()
        if data >= end or data >= hole:
            return end, end
        return max(start, data), min(hole, end)

    def close(self) -> None:
        """May be repeated. Copies that still use this file are done before, or given up when they would go into it."""
        for copies in tuple(self.copies):
            copies.leave(self)
        self._raw.close()
        self._descriptor = -1  # the number may be another file's by now

    if sys.platform != "win32":

        def _read_bytes(self, offset: int, length: int) -> bytes:
            """Some of the bytes at an offset, mostly all."""
            try:
                return os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise file_error(self.path, error) from error

        def _read_some(self, offset: int, view: memoryview) -> int:
            return os.preadv(self._descriptor, [view], offset)

        def _write_some(self, offset: int, view: memoryview) -> int:
            return os.pwrite(self._descriptor, view, offset)

    else:

        def _read_bytes(self, offset: int, length: int) -> bytes:
            buffer = bytearray(length)
            return bytes(memoryview(buffer)[: self.read_into(offset, buffer)])

        def _read_some(self, offset: int, view: memoryview) -> int:
            with self._seek:
                self._raw.seek(offset)
                return self._raw.readinto(view) or 0

        def _write_some(self, offset: int, view: memoryview) -> int:
            with self._seek:
                self._raw.seek(offset)
                return self._raw.write(view) or 0


def _open(path: Path, flags: int, mode: int, called: Path) -> int:
    """Open a regular file or a block device. A named pipe, which would be waited for without end, is refused."""
    try:
        descriptor = os.open(path, flags | _FLAGS, mode)
    except OSError as error:
        raise file_error(called, error) from error
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISBLK(kind):
        return descriptor
    os.close(descriptor)
    found = next((name for test, name in _KINDS if test(kind)), "something else")
    raise DiskUnsupported(called, "what lies there", found=found, wanted="a regular file or a block device")


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
)


class _HoleMap:
    """Asks the file system for holes, and remembers a few answers: on tmpfs each question walks over pages.

    A few, as who lists extents is some of them ahead of who copies.
    """

    def __init__(self) -> None:
        self._known: tuple[tuple[int, int, int], ...] = ()  # asked at, data from there, hole after it; the newest first

    def lookup(self, descriptor: int, offset: int) -> tuple[int, int]:
        """Where data begins at or after an offset, and where it ends; _NOWHERE twice when there is none."""
        for asked, data, hole in self._known:
            if asked <= offset < hole:
                return data, hole
        data, hole = _ask(descriptor, offset)
        self._known = ((offset, data, hole), *self._known[:3])
        return data, hole


if sys.platform != "win32":

    def _ask(descriptor: int, offset: int) -> tuple[int, int]:
        try:
            data = os.lseek(descriptor, offset, os.SEEK_DATA)
            return data, os.lseek(descriptor, data, os.SEEK_HOLE)
        except OSError as error:
            return (_NOWHERE, _NOWHERE) if error.errno == errno.ENXIO else (offset, _NOWHERE)

else:

    def _ask(descriptor: int, offset: int) -> tuple[int, int]:
        return offset, _NOWHERE
