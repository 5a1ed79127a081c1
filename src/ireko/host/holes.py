"""Giving back the room that the beginning of a file takes.

What is left keeps its place and the file its size, so that those who read it, and those who append to it, notice nothing:
what was given back reads as zeros, and takes no room.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

from ireko.errors import IrekoError, Unsupported
from ireko.host.files import told

_BLOCK = 4096
_CANT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def release(path: Path, end: int) -> None:
    """Give back the room of the blocks that lie before the byte `end`. May be repeated.

    Raises Unsupported when this system or the file system can't; NoSpace, Denied, FileNotFoundError.
    """
    whole = end // _BLOCK * _BLOCK
    if not whole:
        return
    try:
        with told(path):
            _punch(path, whole)
    except OSError as error:
        if error.errno not in _CANT:
            raise
        raise Unsupported(f'the room of what "{path}" began with can\'t be given back: {error.strerror}') from error


def first_data(path: Path) -> int:
    """Where what is left of a file begins: 0 when nothing was given back. Raises FileNotFoundError."""
    with path.open("rb") as file:
        return _first_data(file.fileno())


def can_release(folder: Path) -> bool:
    """Whether files in a folder can give back room. Makes one to see. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(2 * _BLOCK))
        file.flush()
        try:
            release(Path(file.name), _BLOCK)
        except IrekoError:
            return False
    return True


if sys.platform == "linux":
    _KEEP_SIZE, _PUNCH_HOLE = 1, 2

    def _punch(path: Path, length: int) -> None:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        allocate = getattr(library, "fallocate64", None) or library.fallocate
        with path.open("r+b") as file:
            if allocate(file.fileno(), _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(length)):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))

else:

    def _punch(path: Path, length: int) -> None:
        raise OSError(errno.ENOSYS, "this system is not asked for it yet")


if sys.platform != "win32":

    def _first_data(descriptor: int) -> int:
        try:
            return os.lseek(descriptor, 0, os.SEEK_DATA)
        except OSError as error:
            return os.fstat(descriptor).st_size if error.errno == errno.ENXIO else 0

else:

    def _first_data(descriptor: int) -> int:
        return 0
