"""Files that appear whole or not at all, and locks."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from ireko.errors import Conflict


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut. Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file's content: readers see the old or the new one, whatever happens in between."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it, read-only files too; nothing there is fine."""
    if not folder.exists():
        return
    for path in folder.rglob("*"):
        if sys.platform == "win32" and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


class Lock:
    """A file that one process holds; it lets go by itself when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> None:
        """Raises Conflict when another process holds it."""
        file = self._path.open("a+b")
        try:
            _lock(file)
        except OSError as error:
            file.close()
            raise Conflict(f'another ireko daemon owns "{self._path.parent}"') from error
        self._file = file

    def release(self) -> None:
        """May be repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def disk_bytes(path: Path) -> int:
    """What a file really takes on its disk; 0 when it is not there."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
    return 0
