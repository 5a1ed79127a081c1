"""A file that appears whole under its name, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path

from ireko.disk.copying import CopyQueue
from ireko.disk.errors import file_error, told
from ireko.disk.files import DiskFile

_LONGEST_STEM = 48
"""Letters of a file's name in that of the half-made one, which has more behind it: there is a limit for all, in bytes."""


class Output:
    """A new file, written under another name in the same folder until `publish`.

    Writers do all their writing through `file`. It has the owner and the mode of another file that it is to be `like`, else
    those of any new file. Raises the errors of `file_error`; AlreadyThere when `path` exists, at the start and again at the end,
    unless `replace` is set.
    """

    def __init__(self, path: Path, *, replace: bool = False, like: os.stat_result | None = None) -> None:
        self.path = path
        self._replace = replace
        self._like = like
        if not replace and os.path.lexists(path):
            error = FileExistsError()
            raise file_error(path, error) from error
        self._partial = path.with_name(f".{path.name[:_LONGEST_STEM]}.{secrets.token_hex(4)}.part")
        self.file = self._open()
        CopyQueue(self.file)
        self._open_still = True

    def _open(self) -> DiskFile:
        mode = 0o666 if self._like is None else 0o600  # nobody reads along who may not read the whole
        return DiskFile(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode, called=self.path)

    def publish(self) -> None:
        """Have the file on the disk, and give it its name."""
        self._take_after()
        self.file.sync()
        self._close()
        try:
            self._rename()
            _sync_folder(self.path.parent)
        except OSError as error:
            self._remove()
            raise file_error(self.path, error) from error

    def discard(self) -> None:
        """Leave nothing. May be repeated, and does nothing after `publish`."""
        if self._open_still:
            self._close()
            self._remove()

    def _rename(self) -> None:
        move_into_place(self._partial, self.path, replace=self._replace)

    def _take_after(self) -> None:
        """Have the owner, as far as that is allowed, and the mode of the file that it is to be like."""
        if self._like is None:
            return
        with told(self.path):
            if sys.platform != "win32":
                with contextlib.suppress(PermissionError):
                    os.chown(self._partial, self._like.st_uid, self._like.st_gid)
            self._partial.chmod(stat.S_IMODE(self._like.st_mode))

    def _remove(self) -> None:
        if sys.platform == "win32":
            with contextlib.suppress(FileNotFoundError):
                self._partial.chmod(stat.S_IWRITE)  # a read-only file can't be deleted there
        self._partial.unlink(missing_ok=True)

    def _close(self) -> None:
        self._open_still = False
        self.file.close()


def move_into_place(old: Path, new: Path, *, replace: bool) -> None:
    """Give a file its name. Raises OSError; FileExistsError when there is something of this name, unless `replace` is set."""
    if replace:
        old.replace(new)
    elif sys.platform == "win32":
        old.rename(new)
    else:
        _rename_onto_nothing(old, new)


def _rename_onto_nothing(old: Path, new: Path) -> None:
    """Rename, but never over a file that has come meanwhile."""
    try:
        os.link(old, new)
    except FileExistsError:
        raise
    except OSError:  # the file system knows no hard links
        if os.path.lexists(new):
            raise FileExistsError from None
        old.rename(new)
    else:
        old.unlink()


if sys.platform != "win32":

    def _sync_folder(folder: Path) -> None:
        """Have a new name on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

else:

    def _sync_folder(folder: Path) -> None:
        """Windows has no way to wait for a folder."""
