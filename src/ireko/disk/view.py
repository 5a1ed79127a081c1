"""What a stack of layers shows: the newest content at each place, and zeros where no layer holds any."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ireko.disk.base import Extent, ExtentKind, Layer, clip
from ireko.disk.files import WritableBuffer

NOBODY = -1
_NONE_YET = -2


class ChainExtent(NamedTuple):
    """A run of a chain's content: DATA of one layer, or ZERO.

    `layer` is the place of the layer that has it, counted from the newest, NOBODY for zeros that no layer says anything of.
    `file_offset` is as in `Extent`, in that layer's file.
    """

    offset: int
    length: int
    kind: ExtentKind
    layer: int = NOBODY
    file_offset: int | None = None

    @property
    def end(self) -> int:
        """The offset after the run."""
        return self.offset + self.length

    def after(self, count: int) -> ChainExtent:
        """What is left of it without its first bytes."""
        place = None if self.file_offset is None else self.file_offset + count
        return self._replace(offset=self.offset + count, length=self.length - count, file_offset=place)


class View:
    """Layers on top of each other, newest first. A layer that is smaller than the one above it has zeros behind its end.

    Its size is the newest layer's, unless another is given. A view of a single layer shows what that adds: what it has nothing
    of is then NOBODY's. Calls raise what those of `Layer` raise. The layers belong to the caller.
    """

    def __init__(self, layers: Sequence[Layer], size: int | None = None) -> None:
        self.layers = tuple(layers)
        self.size = self.layers[0].info.size if size is None else size

    def below(self, count: int = 1) -> View:
        """What shows without the newest layers, in the same size; with none left it is all zeros."""
        return View(self.layers[count:], self.size)

    def extents(self, start: int = 0, end: int | None = None, *, holes: bool = True) -> Iterator[ChainExtent]:
        """What lies between two offsets: without gaps, in order, neighbours joined. No data is read.

        Without `holes` those of the files may count as DATA, as in `Layer.allocated`.
        """
        end = self.size if end is None else end
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"the range {start} to {end} is not inside a disk of {self.size} bytes")
        if len(self.layers) == 1 and end <= self.layers[0].info.size:
            return self._alone(start, end, holes=holes)
        return _joined(self._found(start, end, holes=holes))

    def read_into(self, offset: int, buffer: WritableBuffer) -> None:
        """Fill a buffer from an offset."""
        view = memoryview(buffer)
        for extent in self.extents(offset, offset + len(view)):
            piece = view[extent.offset - offset : extent.end - offset]
            self.read_extent(extent, piece)

    def read_extent(self, extent: ChainExtent, buffer: memoryview) -> None:
        """Fill a buffer from the beginning of an extent, which is at least as long."""
        if extent.kind is ExtentKind.ZERO:
            buffer[:] = bytes(len(buffer))
            return
        layer = self.layers[extent.layer]
        if extent.file_offset is None:
            layer.read_into(extent.offset, buffer)
        else:
            count = layer.file.read_into(extent.file_offset, buffer)
            buffer[count:] = bytes(len(buffer) - count)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at an offset."""
        buffer = bytearray(length)
        self.read_into(offset, buffer)
        return bytes(buffer)

    def stream(self) -> DiskStream:
        """The content as a binary file."""
        return DiskStream(self)

    def _alone(self, start: int, end: int, *, holes: bool) -> Iterator[ChainExtent]:
        """The extents where there is one layer alone."""
        for offset, length, kind, file_offset in _listed(self.layers[0], start, end, holes=holes):
            if kind is ExtentKind.DATA:
                yield ChainExtent(offset, length, kind, 0, file_offset)
            else:
                yield ChainExtent(offset, length, ExtentKind.ZERO, NOBODY if kind is ExtentKind.ABSENT else 0)

    def _found(self, start: int, end: int, *, holes: bool) -> Iterator[_Found]:
        """The extents, those of zeros not joined yet. A stack, as a chain may have hundreds of layers."""
        cursors = [_Cursor(layer, end, holes=holes) for layer in self.layers]
        # what a layer lacks is looked for below it; behind its end it is zeros, whatever there is below
        reach = [layer.info.size for layer in self.layers[:-1]] + [0]
        stack = [(0, iter(cursors[0].between(start, end)) if cursors else _nothing(start, end))]
        while stack:
            number, extents = stack[-1]
            for offset, length, kind, file_offset in extents:
                if kind is ExtentKind.DATA:
                    yield offset, length, kind, number, file_offset
                elif kind is ExtentKind.ZERO:
                    yield offset, length, kind, number, None
                elif offset >= reach[number]:
                    yield offset, length, ExtentKind.ZERO, NOBODY, None
                else:
                    stack.append((number + 1, iter(cursors[number + 1].between(offset, offset + length))))
                    break
            else:
                stack.pop()


def _listed(layer: Layer, start: int, end: int, *, holes: bool) -> Iterator[Extent]:
    return layer.extents(start, end) if holes else layer.allocated(start, end)


_Part = tuple[int, int, ExtentKind, int | None]
"""What an `Extent` consists of."""
_Found = tuple[int, int, ExtentKind, int, int | None]
"""What a `ChainExtent` consists of."""
_NEAR = 8


class _Cursor:
    """The extents of one layer, asked for in ascending ranges: what comes soon is gone to, what is far is looked up anew."""

    def __init__(self, layer: Layer, end: int, *, holes: bool) -> None:
        self._layer = layer
        self._holes = holes
        self._end = min(end, layer.info.size)
        self._extents: Iterator[Extent] = iter(())
        self._current: Extent | None = None

    def between(self, start: int, end: int) -> Iterable[_Part]:
        """What lies between two offsets; behind the layer's end nothing."""
        if self._current is not None:
            offset, length, kind, place = self._current
            if offset <= start and end < offset + length:
                return ((start, end - start, kind, None if place is None else place + start - offset),)
        return self._between(start, end)

    def _between(self, start: int, end: int) -> Iterator[_Part]:
        within = max(start, min(end, self._end))
        place = start
        if place < within:
            self._seek(place)
        while place < within:
            extent = self._current
            assert extent is not None
            last = extent.offset + extent.length
            if last <= within:
                self._current = next(self._extents, None)
            yield clip(extent, place, within)
            place = last
        if within < end:
            yield from _nothing(within, end)

    def _seek(self, start: int) -> None:
        """Have the extent at an offset as the current one."""
        for _ in range(_NEAR):
            if self._current is None or start < self._current.offset:
                break
            if start < self._current.end:
                return
            self._current = next(self._extents, None)
        self._extents = _listed(self._layer, start, self._end, holes=self._holes)
        self._current = next(self._extents)


def _nothing(start: int, end: int) -> Iterator[Extent]:
    yield Extent(start, end - start, ExtentKind.ABSENT)


def _joined(extents: Iterator[_Found]) -> Iterator[ChainExtent]:
    begun, end, kind, layer, first = 0, 0, ExtentKind.ZERO, _NONE_YET, None
    wanted: int | None = None  # where the layer's file goes on
    for offset, length, new_kind, new_layer, place in extents:
        if new_layer != layer or new_kind is not kind or place != wanted:
            if begun < end:
                yield ChainExtent(begun, end - begun, kind, layer, first)
            begun, kind, layer, first = offset, new_kind, new_layer, place
        end = offset + length
        wanted = None if place is None else place + length
    if begun < end:
        yield ChainExtent(begun, end - begun, kind, layer, first)


class DiskStream(io.RawIOBase):
    """A disk's content as a seekable file to read from. Closing it leaves the layers open."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The offset of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset, which may lie behind the end. Raises ValueError for one before the beginning, or from nowhere."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._view.size}.get(whence)
        if base is None:
            raise ValueError(f"no offset is counted from {whence}")
        if base + offset < 0:
            raise ValueError(f"the offset {base + offset} is before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WritableBuffer, /) -> int:  # type: ignore[override]
        """Fill a buffer; the count is smaller than the buffer only where the disk ends."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._view.size - self._position))
        if count:
            self._view.read_into(self._position, view[:count])
        self._position += count
        return count
