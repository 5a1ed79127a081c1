"""Copying ranges between files: by the kernel where it can, else through one buffer."""

from __future__ import annotations

import errno
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ireko.disk.errors import file_error
from ireko.disk.files import DiskFile
from ireko.errors import IrekoError

_PIECE = 1 << 20
_KERNEL_PIECE = 1 << 30
# the kernel can't do it for these two files: another file system, or none that knows how
_REFUSALS = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}


def copy_range(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> None:
    """Copy bytes from one file to another, without what lies past the source's end: the target must read as zeros there.

    Where the target has a `CopyQueue` the copy may still be going on when this returns. Raises the errors of `file_error`.
    """
    if target.copier:
        target.copier.add(source, source_offset, target_offset, length)
    else:
        _copy_data(source, source_offset, target, target_offset, length)


_BATCH = 4 << 20  # bytes that are worth a thread's while
_BATCHES_WAITING = 8
_WRITTEN_TOGETHER = 16 << 20
"""Bytes after which the disk is set to work, so that there is less to wait for in the end."""
_Copy = tuple[DiskFile, int, int, int]


class CopyQueue:
    """Copies into one file, done by a thread while the caller goes on to find out what comes next.

    One thread, as file systems let no more than one at a time write to a file. The files wait for it before they are closed.
    """

    def __init__(self, target: DiskFile) -> None:
        self._target = target
        self._batch: list[_Copy] = []
        self._bytes = 0
        self._running: deque[Future[None]] = deque()
        self._thread: ThreadPoolExecutor | None = None  # from the first whole batch on
        self._sources: set[DiskFile] = set()
        self._error: IrekoError | None = None
        self._written = self._unwritten = 0  # up to where the system writes already, and bytes behind that
        target.copies.add(self)
        target.copier = self

    def add(self, source: DiskFile, source_offset: int, target_offset: int, length: int) -> None:
        """Copy data, now or soon. Raises what an earlier copy did, so that no more is added in vain."""
        if source not in self._sources:
            self._sources.add(source)
            source.copies.add(self)
        self._take_over(source, source_offset, target_offset, length)
        if self._bytes >= _BATCH:
            while len(self._running) >= _BATCHES_WAITING:
                self._note(self._running.popleft().result)
            if self._error:
                raise self._error
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="ireko-copy")
            self._running.append(self._thread.submit(self._copy, self._take()))

    def _take_over(self, source: DiskFile, source_offset: int, target_offset: int, length: int) -> None:
        """Remember a copy: with the one before it, when it continues that in both files."""
        self._bytes += length
        if self._batch:
            last, last_source, last_target, count = self._batch[-1]
            if last is source and last_source + count == source_offset and last_target + count == target_offset:
                self._batch[-1] = source, last_source, last_target, count + length
                return
        self._batch.append((source, source_offset, target_offset, length))

    def wait(self) -> None:
        """As promised."""
        self._finish()
        if self._error:
            raise self._error

    def leave(self, file: DiskFile) -> None:
        """As promised."""
        if file is self._target:
            self._take()
            for each in self._running:
                each.cancel()
            wait(self._running)
            self._running.clear()
        self._finish()

    def _finish(self) -> None:
        """Have all copies done, and let go of the sources. The first error is kept."""
        rest = self._take()
        while self._running:
            self._note(self._running.popleft().result)
        if self._thread:
            self._thread.shutdown()
            self._thread = None
        self._note(self._copy, rest)
        for source in self._sources:
            source.copies.discard(self)
        self._sources.clear()

    def _note(self, call: Callable[..., None], *values: object) -> None:
        try:
            call(*values)
        except IrekoError as error:
            self._error = self._error or error

    def _take(self) -> list[_Copy]:
        batch, self._batch, self._bytes = self._batch, [], 0
        return batch

    def _copy(self, batch: list[_Copy]) -> None:
        for source, source_offset, target_offset, length in batch:
            _copy_data(source, source_offset, self._target, target_offset, length)
            self._unwritten += length
        if self._unwritten >= _WRITTEN_TOGETHER:
            end = batch[-1][2] + batch[-1][3]
            self._target.begin_writing(self._written, end)
            self._written, self._unwritten = end, 0


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
