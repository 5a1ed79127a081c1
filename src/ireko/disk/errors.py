"""What is wrong with a disk file, said so that it can be looked up in the file.

    DiskError                 names file, structure, offset, the value found and the value wanted
    ├── DiskDamaged           (Damaged) the file breaks its format's rules
    └── DiskUnsupported       (Unsupported) the file may be sound, but needs something that isn't done here

    Cancelled                 no error: somebody asked for the operation to stop

What the operating system refuses becomes NotFound, Denied, AlreadyThere, NoSpace or Unavailable: see `file_error`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ireko.errors import AlreadyThere, Damaged, Denied, IrekoError, NoSpace, NotFound, Unavailable, Unsupported


class Cancelled(Exception):
    """The operation was asked to stop, and did: nothing of it is left."""


class DiskError(IrekoError):
    """Something in a disk file is not as it must be.

    `structure` is named as the format's specification names it; `offset` is where it lies in the file, None when it has no place
    there.
    """

    verdict = "can't be used"

    def __init__(
        self, path: Path, structure: str, *, found: object, wanted: object, offset: int | None = None, hint: str = ""
    ) -> None:
        place = "" if offset is None else f" at offset {offset}"
        message = f'the disk "{path}" {self.verdict}: {structure}{place} is {found}, it must be {wanted}'
        super().__init__(message, hint=hint)
        self.path = path
        self.structure = structure
        self.offset = offset
        self.found = found
        self.wanted = wanted


class DiskDamaged(Damaged, DiskError):
    """The file breaks its format's rules."""

    verdict = "is damaged"


class DiskUnsupported(Unsupported, DiskError):
    """The file needs something that isn't done here."""


_MEANINGS: dict[int, tuple[type[IrekoError], str]] = {
    errno.ENOENT: (NotFound, "there is no file"),
    errno.ENOTDIR: (NotFound, "there is no file"),
    errno.EEXIST: (AlreadyThere, "there is a file already:"),
    errno.EACCES: (Denied, "the system does not let us use"),
    errno.EPERM: (Denied, "the system does not let us use"),
    errno.EROFS: (Denied, "the file system is read-only:"),
    errno.ENOSPC: (NoSpace, "there is no room left for"),
    errno.EFBIG: (NoSpace, "the file system can't hold a file as large as"),
}
if hasattr(errno, "EDQUOT"):
    _MEANINGS[errno.EDQUOT] = (NoSpace, "the quota is used up:")


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Within it, what the operating system refuses becomes an error of ours about a disk file."""
    try:
        yield
    except OSError as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: OSError) -> IrekoError:
    """What an error of the operating system means for a disk file; to be raised `from` it."""
    if isinstance(error, FileExistsError):
        error.errno = errno.EEXIST  # on Windows it is another number
    kind, text = _MEANINGS.get(error.errno or 0, (Unavailable, ""))
    if text:
        hint = "free some room there, or choose another place" if kind is NoSpace else ""
        return kind(f'{text} "{path}"', hint=hint)
    return kind(f'the file "{path}" can\'t be used: {error.strerror or os.strerror(error.errno or errno.EIO)}')
