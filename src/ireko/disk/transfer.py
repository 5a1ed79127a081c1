"""Moving content from layers into a new one: by the kernel where it can, else by large reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ireko.disk.base import ExtentKind, LayerWriter, Progress
from ireko.disk.view import NOBODY, ChainExtent, View
from ireko.disk.zeros import UNIT, zero_runs
from ireko.errors import InvalidInput

_READ = 1 << 20
_STEP = 32 << 20
"""Bytes that the kernel copies between two looks at whether to stop."""


def transfer(view: View, writer: LayerWriter, progress: Progress, *, fold: bool = False) -> None:
    """Put what a view shows into a new layer; what is NOBODY's stays absent. The writer is not finished.

    With `fold` all data is read, and what is zeros takes no room. Raises what the view and the writer raise, and Cancelled;
    InvalidInput when a new layer that has a parent has larger sectors than what there is to put into it.
    """
    progress.begin(view.size)
    mover = Mover(view, writer, progress, fold=fold)
    # a hole that hides nothing need not be told from what no layer has
    holes = fold or writer.new.parent is not None
    extents = view.extents(holes=holes)
    if any(layer.info.sector_size < writer.new.sector_size for layer in view.layers):
        extents = _whole_sectors(extents, writer)
    for extent in extents:
        mover.move(extent)


def _whole_sectors(extents: Iterable[ChainExtent], writer: LayerWriter) -> Iterator[ChainExtent]:
    """The same, cut at whole sectors: one that several extents have a part of is DATA of NOBODY, to be read through the view."""
    sector, place = writer.new.sector_size, 0
    for extent in extents:
        end = extent.end
        if place < end and (place > extent.offset or end % sector):
            rest = extent.after(place - extent.offset)
            whole = end // sector * sector
            if place < whole:
                yield rest._replace(length=whole - place)
            if whole < end:
                yield _shared(max(place, whole), sector, writer)
            place = -(-end // sector) * sector
        elif place < end:
            yield extent
            place = end


def _shared(offset: int, sector: int, writer: LayerWriter) -> ChainExtent:
    if writer.new.parent is not None:
        raise InvalidInput(f"the {sector} bytes at {offset} are a sector that the layer holds a part of only")
    return ChainExtent(offset, min(sector, writer.new.size - offset), ExtentKind.DATA)


class Mover:
    """Puts extents of a view into a new layer, in order."""

    def __init__(self, view: View, writer: LayerWriter, progress: Progress, *, fold: bool = False) -> None:
        self._view = view
        self._writer = writer
        self._progress = progress
        self._fold = fold
        self._overlay = writer.new.parent is not None
        self._buffer = bytearray(_READ)

    def move(self, extent: ChainExtent) -> None:
        """Put one there."""
        if extent.kind is ExtentKind.ZERO:
            if extent.layer != NOBODY:
                self._zero(extent.offset, extent.length)
            self._progress.advance(extent.length)
        elif self._fold or extent.file_offset is None:
            self._read(extent)
        else:
            self._copy(extent, extent.file_offset)

    def _zero(self, offset: int, length: int) -> None:
        if self._overlay and length:
            self._writer.write_zero(offset, length)

    def _copy(self, extent: ChainExtent, place: int) -> None:
        """Have the kernel do it. Holes of the source's file are zeros, as far as they are whole sectors of the disk."""
        file, sector = self._view.layers[extent.layer].file, self._writer.new.sector_size
        done, end, shift = extent.offset, extent.end, place - extent.offset
        while done < end:
            data, hole = file.next_data(done + shift, end + shift)
            start = max(done, (data - shift) // sector * sector)
            stop = min(end, -(-(hole - shift) // sector) * sector, start + _STEP)
            if done < start:
                self._zero(done, start - done)
            if start < stop:
                self._writer.copy_from(file, start + shift, start, stop - start)
            self._progress.advance(stop - done)
            done = stop

    def _read(self, extent: ChainExtent) -> None:
        place, rest = extent.offset, extent
        while place < extent.end:
            stop = min(extent.end, (place // _READ + 1) * _READ)
            count = stop - place
            view = memoryview(self._buffer)[:count]
            if extent.layer == NOBODY:
                self._view.read_into(place, view)
            else:
                self._view.read_extent(rest, view)
            self._store(place, count)
            self._progress.advance(count)
            rest = rest.after(count)
            place = stop

    def _store(self, offset: int, count: int) -> None:
        """Write what is in the buffer; zeros in whole units are not data."""
        view = memoryview(self._buffer)
        low = min(count, -offset % UNIT)
        high = max(low, (offset + count) // UNIT * UNIT - offset)
        if low:
            self._writer.write_data(offset, view[:low])
        for first, last, zero in zero_runs(self._buffer, low, high):
            if zero:
                self._zero(offset + first, last - first)
            else:
                self._writer.write_data(offset + first, view[first:last])
        if high < count:
            self._writer.write_data(offset + high, view[high:count])
