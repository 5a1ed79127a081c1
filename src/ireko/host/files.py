"""Files that appear whole or not at all, and locks."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ireko.errors import Conflict, Denied, NoSpace

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Let a full disk and a missing right be told of as NoSpace and Denied, naming the path."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(f'there is no room for "{path}": {error.strerror}', hint="ireko system df") from error
        if error.errno in _FORBIDDEN:
            raise Denied(f'"{path}" can\'t be written: {error.strerror}') from error
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut. Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content last through a power cut."""
    with path.open("rb" if sys.platform != "win32" else "r+b") as file:
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, lasting: bool = True) -> None:
    """Replace a file's content: readers see the old or the new one, whatever happens in between.

    Without `lasting` a power cut may leave neither.
    """
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def remove_tree(folder: Path, *, step: Callable[[str], None] = lambda name: None) -> None:
    """Remove a folder and what is in it, read-only files too; nothing there is fine. `step` is told of each entry before.

    Of a symbolic link, be it the folder itself, nothing goes but the link: somebody may have put it there.
    """
    if folder.is_symlink():
        _remove(folder, step)
    if not folder.exists():
        return
    for parent, folders, names in os.walk(folder, topdown=False):
        for name in names:
            _remove(Path(parent, name), step)
        for path in (Path(parent, name) for name in folders):
            _remove(path, step) if path.is_symlink() else _remove_folder(path, step)
    _remove_folder(folder, step)


def _remove(path: Path, step: Callable[[str], None]) -> None:
    step(f"remove {path.name}")
    if sys.platform == "win32" and not path.is_symlink():
        path.chmod(0o700)  # there a read-only file can't be removed
    path.unlink(missing_ok=True)


def _remove_folder(folder: Path, step: Callable[[str], None]) -> None:
    step(f"remove {folder.name}/")
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


class Files:
    """Changes to files that nobody but the user may see. They raise NoSpace and Denied.

    `step` is called with a few words before each one is made. What it raises stops there: a test ends the daemon so.
    """

    def __init__(self, step: Callable[[str], None] = lambda name: None) -> None:
        self._step = step

    def make_folder(self, path: Path) -> None:
        """A fresh folder, 0700 whatever the umask. Raises FileExistsError."""
        self._step(f"make {path.name}/")
        with told(path):
            path.mkdir(mode=0o700)
            path.chmod(0o700)

    def move(self, source: Path, target: Path, *, lasting: bool = True) -> None:
        """Give a file or a folder another name on the same disk; `lasting`: the name survives a power cut from now on."""
        self._step(f"move {source.name} to {target.parent.name}/{target.name}")
        with told(target):
            source.rename(target)
            if lasting:
                sync_folder(target.parent)

    def set_aside(self, path: Path, target: Path) -> bool:
        """Give what is going to be removed another name, if it is there: it is gone at once, however large it is."""
        self._step(f"set {path.name} aside")
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)
            return True
        return False

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, 0600; it need not outlive a power cut."""
        self._step(f"write {path.name}")
        with told(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file's content, 0600; it need not outlive a power cut."""
        self._step(f"copy {source.name}")
        with told(target):
            shutil.copyfile(source, target)
            target.chmod(0o600)

    def set_mode(self, path: Path, mode: int) -> None:
        """As chmod."""
        self._step(f"set the mode of {path.name}")
        path.chmod(mode)

    def remove(self, path: Path) -> None:
        """Remove a file; nothing there is fine."""
        self._step(f"remove {path.name}")
        path.unlink(missing_ok=True)

    def remove_tree(self, folder: Path) -> None:
        """Remove a folder and what is in it; nothing there is fine."""
        remove_tree(folder, step=self._step)

    def sync_tree(self, folder: Path) -> None:
        """Make a folder, its files and their names last through a power cut."""
        with told(folder):
            for path in folder.iterdir():
                if path.is_file():
                    sync_file(path)
            sync_folder(folder)
            sync_folder(folder.parent)


class Lock:
    """A file that one process holds; it lets go by itself when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> None:
        """Raises Conflict when another process holds it."""
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
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


def tree_bytes(folder: Path) -> int:
    """What all files in and below a folder take on its disk; 0 when it is not there."""
    return sum(disk_bytes(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def disk_bytes(path: Path) -> int:
    """What a file really takes on its disk; 0 when it is not there."""
    with contextlib.suppress(OSError):
        status = path.stat()
        if sys.platform == "win32":
            return status.st_size
        return status.st_blocks * 512
    return 0
