"""The disks of machines: qcow2 chains, and raw volumes with a file system."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import errno
import os
from pathlib import Path

from ireko.disk import qcow2
from ireko.drivers.base import Disks
from ireko.errors import AlreadyThere, Denied, InvalidInput, IrekoError, NoSpace, Unavailable
from ireko.host import process

FORMAT = "qcow2"
_SECTOR = 512


class QcowDisks(Disks):
    """Disk files in qcow2."""

    def create(self, path: Path, *, parent: Path | None, capacity: int, parent_format: str = "") -> None:
        name = relative_name(parent, path.parent) if parent is not None else ""
        try:
            qcow2.create(
                path,
                capacity=-(-capacity // _SECTOR) * _SECTOR,
                backing_file=name,
                backing_format=(parent_format or FORMAT) if name else "",
            )
        except FileExistsError as error:
            raise AlreadyThere(f'the disk "{path}" is already there') from error
        except ValueError as error:
            raise InvalidInput(f'the disk "{path}" can\'t be made: {error}') from error
        except OSError as error:
            raise write_error(path, error) from error

    def capacity(self, path: Path) -> int:
        return qcow2.inspect(path).capacity

    def identify(self, path: Path) -> str:
        return qcow2.inspect(path).fingerprint

    def untouched(self, path: Path) -> bool:
        return qcow2.is_untouched(path)


def relative_name(parent: Path, folder: Path) -> str:
    """How a disk in `folder` names its parent."""
    name = os.path.relpath(parent.absolute(), folder.absolute())
    # before the first slash a colon would make a protocol of it
    return f"./{name}" if ":" in name.partition("/")[0] else name


def write_error(path: Path, error: OSError) -> IrekoError:
    """The error for a file that could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoSpace(f'there is no room for "{path}": {error.strerror}', hint="ireko system df")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Denied(f'"{path}" can\'t be written: {error.strerror}')
    return Unavailable(f'"{path}" can\'t be written: {error.strerror or error}')


async def format_volume(path: Path, capacity: int) -> None:
    """Make a sparse raw disk with an empty ext4 file system. Raises AlreadyThere, NoSpace, ProgramMissing, ProgramFailed."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.truncate(capacity)
    except FileExistsError as error:
        raise AlreadyThere(f'the disk "{path}" is already there') from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise write_error(path, error) from error
    try:
        await process.run(
            "mke2fs",
            *("-q", "-F", "-t", "ext4", "-m", "0"),
            # the tables are written by the guest's kernel when they are needed: a new volume takes little room
            *("-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", "-O", "^resize_inode"),
            path,
            env={"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"},
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
