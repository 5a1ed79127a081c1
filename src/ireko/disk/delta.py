"""What a layer adds, in a form that no format and no compression has a part in: docs/disk/chains.md defines it.

A delta is a sequence of pieces in ascending order. In units of 4 KiB: a unit that the layer has all of, and that is all zeros, is
ZERO; of every other unit the sectors that the layer has are DATA, zeros among them. A base has no ZERO, as there is nothing to be
hidden, and no holes inside units.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from ireko.disk.base import ExtentKind, Layer, LayerWriter, Progress
from ireko.disk.closing import Closing
from ireko.disk.view import NOBODY, ChainExtent, View
from ireko.disk.zeros import UNIT, zero_runs
from ireko.errors import InvalidInput

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

WINDOW = 1 << 20
"""Bytes of the disk whose data make one chunk; windows begin at multiples of it."""
_MAGIC = b"ireko-delta-1\n"
_EXTENT = struct.Struct("<QQB")
_CHUNK = struct.Struct("<Q32s")
_SIZE = struct.Struct("<Q")
_SECTOR = 512
_THREADS = min(4, os.cpu_count() or 1)
"""As many hash at once; more than a few would wait for what is read."""


class Piece(NamedTuple):
    """A run of a delta: `data`, which lies in one window and is valid until the next piece is asked for, or zeros (None)."""

    offset: int
    length: int
    data: memoryview | None


def read_delta(layer: Layer, progress: Progress) -> Iterator[Piece]:
    """What a layer adds. Raises what reading it raises, and Cancelled."""
    progress.begin(layer.info.size)
    return _Reader(layer, progress).pieces()


class _Reader:
    """Reads a layer window by window."""

    def __init__(self, layer: Layer, progress: Progress) -> None:
        self._view = View([layer])
        self._base = layer.info.parent is None
        self._progress = progress
        self._buffer = bytearray(WINDOW)

    def pieces(self) -> Iterator[Piece]:
        for start, end, extents in _windows(self._view.extents()):
            if len(extents) == 1 and extents[0].kind is ExtentKind.ZERO:
                if extents[0].layer != NOBODY and not self._base:
                    yield from self._zeros(start, end)
            else:
                yield from self._window(start, end, extents)
            self._progress.advance(end - start)

    def _zeros(self, start: int, end: int) -> Iterator[Piece]:
        """A run of zeros over any number of windows; units that it has not all of are data."""
        low, high = self._units(start, end)
        for first, last, zero in ((start, low, False), (low, high, True), (high, end, False)):
            if first < last:
                yield Piece(first, last - first, None if zero else memoryview(bytes(last - first)))

    def _window(self, start: int, end: int, extents: list[ChainExtent]) -> Iterator[Piece]:
        view = memoryview(self._buffer)
        for extent in extents:
            self._view.read_extent(extent, view[extent.offset - start : extent.end - start])
        for first, last in [(start, end)] if self._base else _here(extents):
            for low, high, zero in self._present(first, last, start):
                if not zero:
                    yield Piece(low, high - low, view[low - start : high - start])
                elif not self._base:
                    yield Piece(low, high - low, None)

    def _present(self, start: int, end: int, base: int) -> Iterator[tuple[int, int, bool]]:
        """What the layer has, as (start, end, whether it is ZERO). `base` is where the buffer begins."""
        low, high = self._units(start, end)
        if start < low:
            yield start, low, False
        for first, last, zero in zero_runs(self._buffer, low - base, high - base):
            yield base + first, base + last, zero
        if high < end:
            yield high, end, False

    def _units(self, start: int, end: int) -> tuple[int, int]:
        """The whole units in a range; the disk's last one may be short."""
        low = min(end, -(-start // UNIT) * UNIT)
        high = end if end == self._view.size else end // UNIT * UNIT
        return low, max(low, high)


def _here(extents: list[ChainExtent]) -> Iterator[tuple[int, int]]:
    """The parts that the layer has, data and zeros together."""
    first = last = -1
    for extent in extents:
        if extent.layer == NOBODY:
            continue
        if extent.offset != last:
            if last > first:
                yield first, last
            first = extent.offset
        last = extent.end
    if last > first:
        yield first, last


def _windows(extents: Iterable[ChainExtent]) -> Iterator[tuple[int, int, list[ChainExtent]]]:
    """The extents by window, as (start, end, extents), cut at its borders; one of zeros over whole windows stays whole."""
    gathered: list[ChainExtent] = []
    for extent in extents:
        rest = extent
        while rest.length:
            border = (rest.offset // WINDOW + 1) * WINDOW
            if rest.kind is ExtentKind.ZERO and not rest.offset % WINDOW:
                border = max(border, rest.end // WINDOW * WINDOW)
            part, rest = _split(rest, border)
            gathered.append(part)
            if part.end == border:
                yield gathered[0].offset, part.end, gathered
                gathered = []
    if gathered:
        yield gathered[0].offset, gathered[-1].end, gathered


def _split(extent: ChainExtent, border: int) -> tuple[ChainExtent, ChainExtent]:
    count = min(extent.end, border) - extent.offset
    return extent._replace(length=count), extent.after(count)


class DeltaDigest(Closing):
    """The diff id of the pieces that it is told, in order. The chunks are hashed by other threads; close it to have them end."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._extents = hashlib.sha256()
        self._run = (0, 0, False)  # start, end, whether it is zeros
        self._chunks = _Chunks()

    def add(self, piece: Piece) -> None:
        """The next piece."""
        self._note(piece.offset, piece.offset + piece.length, piece.data is None)
        if piece.data is not None:
            self._chunks.add(piece.offset // WINDOW, piece.data)

    def diff_id(self) -> str:
        """The id of all of them; nothing may follow."""
        self._note(self._size + 1, self._size + 1, False)
        whole = _MAGIC + _SIZE.pack(self._size) + self._extents.digest() + self._chunks.digest()
        return _name(hashlib.sha256(whole))

    def close(self) -> None:
        """May be repeated."""
        self._chunks.close()

    def _note(self, start: int, end: int, zero: bool) -> None:
        first, last, kind = self._run
        if start == last and zero is kind:
            self._run = first, end, kind
            return
        if last > first:
            self._extents.update(_EXTENT.pack(first // _SECTOR, (last - first) // _SECTOR, kind))
        self._run = start, end, zero


class _Chunks:
    """The digest of all chunks: a chunk is gathered, then hashed by a thread while the next ones are read."""

    def __init__(self) -> None:
        self._all = hashlib.sha256()
        self._window = -1
        self._buffer, self._length = bytearray(WINDOW), 0
        self._free = [bytearray(WINDOW) for _ in range(_THREADS)]
        self._running: deque[tuple[int, bytearray, Future[bytes]]] = deque()
        self._threads: ThreadPoolExecutor | None = None  # from the second chunk on

    def add(self, window: int, data: memoryview) -> None:
        """Data of a chunk, which is not needed any more when this returns."""
        if window != self._window:
            self._close_chunk()
            self._window = window
        end = self._length + len(data)
        self._buffer[self._length : end] = data
        self._length = end

    def digest(self) -> bytes:
        """The digest; nothing may follow."""
        self._close_chunk()
        while self._running:
            self._take()
        return self._all.digest()

    def close(self) -> None:
        """Have the threads end."""
        if self._threads:
            self._threads.shutdown(cancel_futures=True)

    def _close_chunk(self) -> None:
        if not self._length:
            return
        if self._threads is None:
            # most who import this module hash nothing
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ireko-hash")
        future = self._threads.submit(_digest, self._buffer, self._length)
        self._running.append((self._window, self._buffer, future))
        if not self._free:
            self._take()
        self._buffer, self._length = self._free.pop(), 0

    def _take(self) -> None:
        """The oldest chunk that is being hashed."""
        window, buffer, future = self._running.popleft()
        self._all.update(_CHUNK.pack(window, future.result()))
        self._free.append(buffer)


def _digest(buffer: bytearray, length: int) -> bytes:
    return hashlib.sha256(memoryview(buffer)[:length]).digest()


def diff_id(layer: Layer, progress: Progress) -> str:
    """What a layer adds, as one text: the same for the same content in any format. Reads all of the layer's data."""
    with DeltaDigest(layer.info.size) as digest:
        for piece in read_delta(layer, progress):
            digest.add(piece)
        return digest.diff_id()


def chain_id(parent: str, diff: str) -> str:
    """What a layer shows with all that is below it: made of its parent's chain id, "" for a base, and its own diff id."""
    return _name(hashlib.sha256(f"{parent} {diff}".encode())) if parent else diff


def identity_of(chain: str) -> str:
    """The UUID that a layer with this chain id has wherever it is made, so that children made elsewhere find it right."""
    return str(UUID(int=_custom(bytes.fromhex(chain.removeprefix("sha256:"))[:16])))


def _custom(data: bytes) -> int:
    """The number of a UUID of version 8, RFC 9562's own for such uses."""
    number = int.from_bytes(data, "big")
    number = number & ~(0xF << 76) | 8 << 76
    return number & ~(0x3 << 62) | 2 << 62


def write_delta(pieces: Iterable[Piece], writer: LayerWriter) -> str:
    """Put a delta into a new layer; its diff id. The writer is not finished.

    Raises InvalidInput when the new layer has larger sectors than the delta has parts.
    """
    sector = writer.new.sector_size
    with DeltaDigest(writer.new.size) as digest:
        for piece in pieces:
            digest.add(piece)
            if piece.offset % sector or piece.length % sector:
                raise InvalidInput(f"{piece.length} bytes at {piece.offset} are not whole sectors of {sector} bytes")
            if piece.data is None:
                writer.write_zero(piece.offset, piece.length)
            else:
                writer.write_data(piece.offset, piece.data)
        return digest.diff_id()


def _name(digest: hashlib._Hash) -> str:
    return f"sha256:{digest.hexdigest()}"
