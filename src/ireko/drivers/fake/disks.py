"""The fake hypervisor's disks: qcow2 files in chains, as real machines have them.

Nothing is written in place: a layer that changes is made anew beside the old file, and takes its name.
"""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ireko.disk import qcow2
from ireko.disk.base import Allocation, LayerWriter, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.errors import file_error
from ireko.disk.files import DiskFile
from ireko.disk.formats import format_named
from ireko.disk.output import Output
from ireko.drivers.base import Disks
from ireko.errors import AlreadyThere, NoSpace

FORMAT = "qcow2"
_SECTOR = 512
_CLUSTER = 4096
_MOST_IN_SMALL_CLUSTERS = 1 << 40


class FakeDisks(Disks):
    """Disk files in qcow2. `step` is told before and after each is made."""

    def __init__(self, step: Callable[[str], None]) -> None:
        self._step = step

    def create(self, path: Path, *, parent: Path | None, capacity: int, parent_format: str = "") -> None:
        if path.exists():
            raise AlreadyThere(f'the disk "{path}" is already there')
        self._step("disks.create")
        write_disk(path, new_layer(capacity, _reference(path, parent, parent_format or FORMAT) if parent else None))
        try:
            self._step("disks.created")
        except Exception:
            path.unlink()
            raise

    def capacity(self, path: Path) -> int:
        return qcow2.inspect(path).capacity

    def identify(self, path: Path) -> str:
        return qcow2.inspect(path).fingerprint

    def untouched(self, path: Path) -> bool:
        return qcow2.is_untouched(path)


def new_layer(capacity: int, parent: ParentReference | None = None) -> NewLayer:
    """A layer for toy guests. They write little and often: the smaller the clusters, the less there is to make anew."""
    return NewLayer(
        -(-capacity // _SECTOR) * _SECTOR,
        Allocation.DIFFERENCING if parent else Allocation.DYNAMIC,
        block_size=_CLUSTER if capacity <= _MOST_IN_SMALL_CLUSTERS else 0,
        parent=parent,
    )


def write_disk(path: Path, new: NewLayer, content: bytes = b"", *, format_name: str = FORMAT) -> None:
    """Make a disk file with something at the disk's beginning, in the place of what is there. Raises NoSpace, Denied."""
    try:
        output = _Replacement(path)
        with contextlib.ExitStack() as undo:
            undo.callback(output.discard)
            _write(format_named(format_name).create(output, new), content)
            undo.pop_all()
    except NoSpace as error:
        raise NoSpace(error.message, hint="ireko system df") from error


def _write(writer: LayerWriter, content: bytes) -> None:
    if content:
        unit = writer.new.block_size or writer.new.sector_size  # a child with clusters of its own holds whole ones
        length = min(-(-len(content) // unit) * unit, writer.new.size)
        writer.write_data(0, content.ljust(length, b"\0"))
    writer.finish()


def _reference(path: Path, parent: Path, parent_format: str) -> ParentReference:
    name = Path(os.path.relpath(parent.absolute(), path.parent.absolute())).as_posix()
    return ParentReference((RecordedPath(PathKind.RELATIVE, name),), format=parent_format)


class _UnsyncedFile(DiskFile):
    """A file that is left to the system to write out: toy guests lose no power, and there are thousands of such files."""

    def sync(self) -> None:
        """Do nothing."""


class _Replacement(Output):
    """A file that takes another's place.

    Until then it always has the same name, so that nothing piles up where processes are killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = path.with_name(f".{path.name}.new")
        self.file = _UnsyncedFile(self._beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600, called=path)

    def publish(self) -> None:
        self.file.close()
        try:
            self._beside.replace(self.path)
        except OSError as error:
            raise file_error(self.path, error) from error

    def discard(self) -> None:
        self.file.close()
        self._beside.unlink(missing_ok=True)
