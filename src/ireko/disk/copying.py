"""Copying ranges between files: by the kernel where it can, else through one buffer."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from ireko.disk.errors import file_error
from ireko.disk.files import DiskFile
from ireko.errors import IrekoError

_PIECE = 1 << 20
_KERNEL_PIECE = 1 << 30
# the kernel can't do it for these two files: another file system, or none that knows how
_REFUSALS = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}


def copy_range(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> None:
    """Copy bytes from one file to another, without what lies past the source's end: the target must read as zeros there.

    Where the target has a `CopyQueue` the copy may be done later. Raises the errors of `file_error`.
    """
    if target.copier:
        target.copier.add(source, source_offset, target_offset, length)
    else:
        _copy_data(source, source_offset, target, target_offset, length)


_BATCH = 4 << 20
"""Bytes that are gathered before they are copied."""
_WRITTEN_TOGETHER = 16 << 20
"""Bytes after which the disk is set to work, so that there is less to wait for in the end."""
_Copy = tuple[DiskFile, int, int, int]


class CopyQueue:
    """Copies into one file, gathered: those that continue each other become one, which the kernel does sooner than many.

    Not done by a thread: it would wait for the interpreter, which whoever finds out what comes next is using, after each of them.
    The files have what is gathered copied before they are closed.
    """

    def __init__(self, target: DiskFile) -> None:
        self._target = target
        self._batch: list[_Copy] = []
        self._bytes = 0
        self._sources: set[DiskFile] = set()
        self._error: IrekoError | None = None
        self._written = self._unwritten = 0  # up to where the system writes already, and bytes behind that
        target.copies.add(self)
        target.copier = self

    def add(self, source: DiskFile, source_offset: int, target_offset: int, length: int) -> None:
        """Copy data, now or soon. Raises what this copy or an earlier one does."""
        if source not in self._sources:
            self._sources.add(source)
            source.copies.add(self)
        self._take_over(source, source_offset, target_offset, length)
        if self._bytes >= _BATCH:
            self._copy()

    def wait(self) -> None:
        """As promised."""
        self._copy()
        self._let_go()

    def leave(self, file: DiskFile) -> None:
        """As promised."""
        if file is self._target:
            self._batch.clear()
        with contextlib.suppress(IrekoError):  # it is kept for `wait`
            self._copy()
        self._let_go()

    def _take_over(self, source: DiskFile, source_offset: int, target_offset: int, length: int) -> None:
        """Remember a copy: with the one before it, when it continues that in both files."""
        self._bytes += length
        if self._batch:
            last, last_source, last_target, count = self._batch[-1]
            if last is source and last_source + count == source_offset and last_target + count == target_offset:
                self._batch[-1] = source, last_source, last_target, count + length
                return
        self._batch.append((source, source_offset, target_offset, length))

    def _copy(self) -> None:
        """Copy what is gathered. After an error nothing is copied any more: it is raised again, so that nobody misses it."""
        batch, self._batch, self._bytes = self._batch, [], 0
        try:
            for source, source_offset, target_offset, length in () if self._error else batch:
                _copy_data(source, source_offset, self._target, target_offset, length)
                self._unwritten += length
        except IrekoError as error:
            self._error = error
        if self._error:
            raise self._error
        if self._unwritten >= _WRITTEN_TOGETHER:
            end = batch[-1][2] + batch[-1][3]
            self._target.begin_writing(self._written, end)
            self._written, self._unwritten = end, 0

    def _let_go(self) -> None:
        for source in self._sources:
            source.copies.discard(self)
        self._sources.clear()


def _copy_data(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> None:
    done = _copy_by_kernel(source, source_offset, target, target_offset, length)
    if done == length:
        return
    buffer = memoryview(bytearray(min(_PIECE, length - done)))
    while done < length:
        count = source.read_into(source_offset + done, buffer[: length - done])
        if not count:
            return
        target.write(target_offset + done, buffer[:count])
        done += count


if sys.platform == "linux":

    def _copy_by_kernel(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> int:
        """Bytes that the kernel has copied: all, or as many as it could."""
        done = 0
        try:
            while done < length:
                piece = min(_KERNEL_PIECE, length - done)
                count = os.copy_file_range(
                    source.descriptor, target.descriptor, piece, source_offset + done, target_offset + done
                )
                if not count:
                    break
                done += count
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise file_error(target.path, error) from error
        return done

else:

    def _copy_by_kernel(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> int:
        """Bytes that the kernel has copied: none, for there is no call for it here."""
        return 0
