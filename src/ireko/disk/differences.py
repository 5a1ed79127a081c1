"""Making one layer of several: what a stack of layers adds to what is below, and what one disk shows and another doesn't."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.disk.base import ExtentKind, LayerWriter, Progress
from ireko.disk.pairs import Pair, SideBySide, are_equal
from ireko.disk.transfer import Mover
from ireko.disk.view import NOBODY, View
from ireko.disk.zeros import UNIT, zero_runs


def write_merged(top: View, below: View, writer: LayerWriter, progress: Progress) -> None:
    """Put what the newest layers of a chain add to the rest of it into a new layer on that rest. The writer is not finished.

    No data is looked at. Raises what the views and the writer raise, and Cancelled.
    """
    reach = min(layer.info.size for layer in top.layers)
    progress.begin(top.size)
    mover = Mover(top, writer, progress)
    for extent in top.extents():
        if extent.layer == NOBODY and writer.new.parent and extent.end > reach:
            hide(below, max(extent.offset, reach), extent.end, writer)
        mover.move(extent)


def hide(below: View, start: int, end: int, writer: LayerWriter) -> None:
    """Have zeros in a new layer where what is below has data between two offsets: a layer had its end before it."""
    for extent in below.extents(min(start, below.size), min(end, below.size)):
        if extent.kind is ExtentKind.DATA:
            writer.write_zero(extent.offset, extent.length)


def write_difference(wanted: View, below: View, writer: LayerWriter, progress: Progress) -> None:
    """Put what one view shows and another does not into a new layer on that other. The writer is not finished.

    Data is read only where the two could differ. Raises what the views and the writer raise, and Cancelled.
    """
    progress.begin(wanted.size)
    Differences(wanted, below, writer, progress).write(0, wanted.size)


class Differences:
    """Puts what one view shows and another does not into a layer on that other, range by range in ascending order."""

    def __init__(self, wanted: View, below: View, writer: LayerWriter, progress: Progress) -> None:
        self._both = SideBySide(wanted, below)
        self._writer = writer
        self._progress = progress

    def write(self, start: int, end: int) -> None:
        """Write what differs between two offsets, in whole units of 4 KiB where they lie in one extent."""
        for pair in self._both.pairs(start, end):
            if self._both.alike(pair):
                self._progress.advance(pair[0].length)
            else:
                self._write_unequal(pair)

    def _write_unequal(self, pair: Pair) -> None:
        for offset, count, wanted, found in self._both.contents(pair):
            if not are_equal(wanted, found, count):
                for first, last in _unequal_units(offset, count, wanted, found):
                    self._store(offset, wanted, first, last)
            self._progress.advance(count)

    def _store(self, offset: int, wanted: bytearray, start: int, end: int) -> None:
        view = memoryview(wanted)
        for first, last, zero in zero_runs(wanted, start, end):
            if zero:
                self._writer.write_zero(offset + first, last - first)
            else:
                self._writer.write_data(offset + first, view[first:last])


def _unequal_units(offset: int, count: int, wanted: bytearray, found: bytearray) -> Iterator[tuple[int, int]]:
    """The runs of units that are not the same in both, as places in them; units begin where the disk's do."""
    view = memoryview(found)
    first = -1
    for place in range(-(offset % UNIT), count, UNIT):
        low, high = max(0, place), min(count, place + UNIT)
        same = wanted.startswith(view[low:high], low)
        if same and first >= 0:
            yield first, low
            first = -1
        elif not same and first < 0:
            first = low
    if first >= 0:
        yield first, count
