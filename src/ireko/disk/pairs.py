"""Two disks side by side: what is known to be alike without a look at the data, and reading the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ireko.disk.base import ExtentKind, Layer
from ireko.disk.view import NOBODY, ChainExtent, View
from ireko.disk.zeros import UNIT

PIECE = 1 << 20
"""Bytes that are read and compared at once."""
_ZEROS = bytearray(PIECE)  # never written to
_WORTH_ASKING = 1 << 18
"""A run that is shorter is read sooner than its holes are asked for."""

Pair = tuple[ChainExtent, ChainExtent]


class SideBySide:
    """Two views over one range. Behind its end a view has zeros."""

    def __init__(self, one: View, other: View) -> None:
        self._one, self._other = one, other
        self._buffers = bytearray(PIECE), bytearray(PIECE)
        self._files: dict[Layer, tuple[int, int, str]] = {}

    def pairs(self, start: int, end: int) -> Iterator[Pair]:
        """What the two have between two offsets, cut so that both extents of a pair have the same range."""
        left, right = _padded(self._one, start, end), _padded(self._other, start, end)
        first, second = next(left, None), next(right, None)
        while first and second:
            count = min(first.length, second.length)
            yield first._replace(length=count), second._replace(length=count)
            first = first.after(count) if first.length > count else next(left, None)
            second = second.after(count) if second.length > count else next(right, None)

    def alike(self, pair: Pair) -> bool:
        """Whether a pair is known to show the same: zeros on both sides, or one place of one file."""
        first, second = pair
        if first.kind is ExtentKind.ZERO or second.kind is ExtentKind.ZERO:
            return first.kind is second.kind
        return self._file(self._one.layers[first.layer]) == self._file(self._other.layers[second.layer])

    def contents(self, pair: Pair) -> Iterator[tuple[int, int, bytearray, bytearray]]:
        """The data of a pair, as (offset, length, content, content); both are valid until the next are asked for.

        Each begins with that many bytes of content; what is behind them has no meaning.
        """
        first, second = pair
        while first.length:
            count = min(PIECE, first.length)
            one = _content(self._one, first, self._buffers[0], count)
            other = _content(self._other, second, self._buffers[1], count)
            yield first.offset, count, one, other
            first, second = first.after(count), second.after(count)

    def _file(self, layer: Layer) -> tuple[int, int, str]:
        """The same for layers that are one file, read in one way: there each place holds the same."""
        if (known := self._files.get(layer)) is None:
            status = os.fstat(layer.file.descriptor)
            known = self._files[layer] = status.st_dev, status.st_ino, layer.info.format
        return known


def _content(view: View, extent: ChainExtent, buffer: bytearray, count: int) -> bytearray:
    if extent.kind is ExtentKind.ZERO:
        return _ZEROS
    view.read_extent(extent, memoryview(buffer)[:count])
    return buffer


def _padded(view: View, start: int, end: int) -> Iterator[ChainExtent]:
    """The extents between two offsets; zeros are what lies behind the view's end, and holes of the files."""
    last = max(start, min(end, view.size))
    if start < last:
        for extent in view.extents(start, last):
            yield from _without_holes(view, extent)
    if last < end:
        yield ChainExtent(last, end - last, ExtentKind.ZERO)


def _without_holes(view: View, extent: ChainExtent) -> Iterator[ChainExtent]:
    """An extent without the holes that its file has there, as far as they are whole units of the disk."""
    if extent.kind is ExtentKind.ZERO or extent.file_offset is None or extent.length < _WORTH_ASKING:
        yield extent
        return
    shift, done = extent.file_offset - extent.offset, extent.offset
    for first, last in view.layers[extent.layer].file.data_ranges(extent.file_offset, extent.end + shift):
        start = max(done, (first - shift) // UNIT * UNIT)
        if done < start:
            yield ChainExtent(done, start - done, ExtentKind.ZERO, NOBODY)
        done = max(start, min(extent.end, -(-(last - shift) // UNIT) * UNIT))
        if start < done:
            yield extent._replace(offset=start, length=done - start, file_offset=start + shift)
    if done < extent.end:
        yield ChainExtent(done, extent.end - done, ExtentKind.ZERO, NOBODY)


def are_equal(one: bytearray, other: bytearray, count: int) -> bool:
    """Whether two contents have the same first bytes."""
    return one.startswith(memoryview(other)[:count])


def first_unequal(one: bytearray, other: bytearray, count: int) -> int:
    """The place of the first byte that differs; there must be one among the first `count`."""
    view = memoryview(other)
    low, high = 0, count  # alike before the one, different before the other
    while high - low > 1:
        middle = (low + high) // 2
        if one.startswith(view[low:middle], low):
            low = middle
        else:
            high = middle
    return low
