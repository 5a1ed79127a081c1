"""Copying ranges between files: by the kernel where it can, else through one buffer."""

from __future__ import annotations

import errno
import os
import sys

from ireko.disk.errors import file_error
from ireko.disk.files import DiskFile

_PIECE = 1 << 20
_KERNEL_PIECE = 1 << 30
# the kernel can't do it for these two files: another file system, or none that knows how
_REFUSALS = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}


def copy_range(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> None:
    """Copy bytes from one file to another. Holes are left out, as is what lies past the source's end.

    The target must read as zeros there. Raises the errors of `file_error`.
    """
    for start, end in source.data_ranges(source_offset, source_offset + length):
        _copy_data(source, start, target, target_offset + start - source_offset, end - start)


def _copy_data(source: DiskFile, source_offset: int, target: DiskFile, target_offset: int, length: int) -> None:
    done = _copy_by_kernel(source, source_offset, target, target_offset, length)
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
