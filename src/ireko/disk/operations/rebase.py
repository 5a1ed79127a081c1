"""A layer moves onto another parent, and shows what it showed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import ExtentKind, LayerInfo, LayerWriter, Progress
from ireko.disk.chain import Chain, open_chain
from ireko.disk.errors import told
from ireko.disk.operations.rewriting import allowed_folders, rewrite, same_as
from ireko.disk.reference import reference_to
from ireko.disk.transfer import Mover
from ireko.disk.view import NOBODY, ChainExtent, View
from ireko.disk.zeros import UNIT
from ireko.errors import Conflict, InvalidInput

_PIECE = 1 << 20
_IDENTIFYING = {"vhdx", "vhd"}


def rebase(path: Path, parent: Path, *, within: Sequence[Path] = (), progress: Progress | None = None) -> None:
    """Put a disk onto another parent; where the two differ, the disk gets what its old parent showed.

    Parents are looked for in the folders `within`, and so must the new one be. Raises Conflict when the new parent stands on the
    disk, InvalidInput when its size or sectors don't fit, and what reading and writing raise.
    """
    folders = allowed_folders(path, within)
    with open_chain(path, within=folders) as chain, open_chain(parent, within=folders) as onto:
        _check(chain, onto)
        info = chain.leaf.info
        new = replace(
            same_as(info, any_sector=True),
            parent=reference_to(onto.leaf.info, path),
            disk_id=onto.base.info.identity.disk or info.identity.disk,
        )
        steps = progress or Progress()
        rewrite(info, new, lambda writer: _Rebase(chain, onto, writer, steps).run(), done_with=chain)


def _check(chain: Chain, onto: Chain) -> None:
    info, found = chain.leaf.info, onto.leaf.info
    if chain.parent is None:
        raise Conflict(f'the disk "{info.path}" has no parent that another could replace')
    if any(_key(each.info) == _key(info) for each in onto.layers):
        raise Conflict(f'the disk "{found.path}" stands on "{info.path}", so it can\'t become its parent')
    if info.format in _IDENTIFYING and (found.sector_size != info.sector_size or found.size > info.size):
        raise InvalidInput(
            f'the disk "{found.path}" has {found.size} bytes in sectors of {found.sector_size}, '
            f'"{info.path}" {info.size} in sectors of {info.sector_size}'
        )


def _key(info: LayerInfo) -> tuple[int, int]:
    with told(info.path):
        status = info.path.stat()
    return status.st_dev, status.st_ino


class _Rebase:
    """Writes the layer for its new parent."""

    def __init__(self, chain: Chain, onto: Chain, writer: LayerWriter, progress: Progress) -> None:
        self._own = View(chain.layers[:1])
        self._old = chain.view.below()
        self._new = View(onto.layers, self._own.size)
        self._writer = writer
        self._progress = progress
        self._mover = Mover(self._own, writer, progress)

    def run(self) -> None:
        self._progress.begin(self._own.size)
        for extent in self._own.extents():
            if extent.layer == NOBODY:
                self._differences(extent.offset, extent.end)
            else:
                self._mover.move(extent)

    def _differences(self, start: int, end: int) -> None:
        """Write what the parents don't agree on."""
        for old, new in _pairs(self._old, self._new, start, end):
            if not self._alike(old, new):
                for place in range(old.offset, old.end, _PIECE):
                    self._compare(place, min(_PIECE, old.end - place))
            self._progress.advance(old.length)

    def _alike(self, old: ChainExtent, new: ChainExtent) -> bool:
        """Whether two extents are known to show the same without a look at their data."""
        if old.kind is ExtentKind.ZERO or new.kind is ExtentKind.ZERO:
            return old.kind is new.kind
        places = old.file_offset == new.file_offset and old.file_offset is not None
        return places and _key(self._old.layers[old.layer].info) == _key(self._new.layers[new.layer].info)

    def _compare(self, start: int, length: int) -> None:
        wanted, found = self._old.read(start, length), self._new.read(start, length)
        first = None
        for place in range(-(start % UNIT), length, UNIT):
            low, high = max(0, place), min(length, place + UNIT)
            same = wanted[low:high] == found[low:high]
            if not same and first is None:
                first = low
            if same and first is not None:
                self._write(start + first, wanted[first:low])
                first = None
        if first is not None:
            self._write(start + first, wanted[first:])
        self._progress.advance(0)

    def _write(self, offset: int, data: bytes) -> None:
        if data.count(0) == len(data):
            self._writer.write_zero(offset, len(data))
        else:
            self._writer.write_data(offset, data)


def _pairs(old: View, new: View, start: int, end: int) -> Iterator[tuple[ChainExtent, ChainExtent]]:
    """What two views have between two offsets, cut so that both extents of a pair have the same range."""
    left, right = old.extents(start, end), new.extents(start, end)
    first, second = next(left, None), next(right, None)
    while first and second:
        count = min(first.length, second.length)
        yield first._replace(length=count), second._replace(length=count)
        first = first.after(count) if first.length > count else next(left, None)
        second = second.after(count) if second.length > count else next(right, None)
