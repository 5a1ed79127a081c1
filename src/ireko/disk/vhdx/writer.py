"""Writing a VHDX file in one pass: docs/disk/vhdx-writer.md says which rule of the specification each step fulfils.

Content comes in ascending order, so entries of the BAT do too, and only one page of it, one block and one sector bitmap are held
in memory, whatever the disk's size.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from ireko.disk.base import Allocation, LayerWriter, NewLayer
from ireko.disk.bits import set_run
from ireko.disk.copying import copy_range
from ireko.disk.files import DiskFile
from ireko.disk.output import Output
from ireko.disk.tables import packed
from ireko.disk.vhdx.bat import ENTRY_LENGTH
from ireko.disk.vhdx.plan import Plan, plan
from ireko.disk.vhdx.structures import (
    BITMAP_LENGTH,
    BITMAP_PRESENT,
    HEADER_OFFSETS,
    REGION_TABLE_OFFSETS,
    PayloadState,
)
from ireko.disk.zeros import zero_runs

_PAGE = 8192  # entries


def create_vhdx(output: Output, new: NewLayer) -> VhdxWriter:
    """Begin a VHDX file. Raises InvalidInput for what VHDX can't hold."""
    return VhdxWriter(output, plan(new))


class _BatWriter:
    """Writes entries in ascending order, a page at a time; what is left out is 0: NOT_PRESENT."""

    def __init__(self, file: DiskFile, plan: Plan) -> None:
        self._file = file
        self._offset = plan.bat_offset
        self._geometry = plan.geometry
        self._number = 0
        self._page = array("Q", bytes(_PAGE * ENTRY_LENGTH))

    def set_blocks(self, block: int, count: int, entry: int, step: int = 0) -> None:
        """Give `count` payload blocks their entries: `entry`, and `step` more for each that follows."""
        ratio = self._geometry.chunk_ratio
        while count:
            page, place = divmod(self._geometry.payload_index(block), _PAGE)
            some = min(count, ratio - block % ratio, _PAGE - place)
            self._turn(page)
            values = range(entry, entry + some * step, step) if step else [entry] * some
            self._page[place : place + some] = array("Q", values)
            block, count, entry = block + some, count - some, entry + some * step

    def set_bitmap(self, chunk: int, entry: int) -> None:
        """Give the bitmap of a chunk its entry."""
        page, place = divmod(self._geometry.bitmap_index(chunk), _PAGE)
        self._turn(page)
        self._page[place] = entry

    def finish(self) -> None:
        """Write the last page."""
        self._turn(self._number + 1)

    def _turn(self, number: int) -> None:
        if number == self._number:
            return
        if any(self._page):
            self._file.write(self._offset + self._number * _PAGE * ENTRY_LENGTH, packed(self._page, "little"))
            self._page = array("Q", bytes(_PAGE * ENTRY_LENGTH))
        self._number = number


class VhdxWriter(LayerWriter):
    """Makes a VHDX file."""

    def __init__(self, output: Output, plan: Plan) -> None:
        super().__init__(plan.new)
        self._output = output
        self._file = output.file
        self._plan = plan
        self._bat = _BatWriter(output.file, plan)
        self._fixed = plan.new.allocation is Allocation.FIXED
        self._differencing = plan.new.parent is not None
        self._end = plan.blocks_offset
        self._block, self._block_offset = -1, 0
        self._runs: list[tuple[int, int]] = []  # of the block's sectors that are here
        self._chunk, self._bitmap = -1, bytearray()
        self._begin()

    def finish(self) -> None:
        """Headers come last: until they are there, the file is no VHDX file to anyone."""
        self._close_block()
        self._close_chunk()
        if self._fixed:
            self._bat.set_blocks(
                0, self._plan.geometry.blocks, self._end | PayloadState.FULLY_PRESENT, self._plan.block_size
            )
            self._end += self._plan.geometry.blocks * self._plan.block_size
        self._bat.finish()
        self._file.grow(self._end)
        self._file.sync()
        self._file.write(*self._plan.metadata(complete=True))
        for offset, header in zip(HEADER_OFFSETS, self._plan.headers(), strict=True):
            self._file.write(offset, header)
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _begin(self) -> None:
        self._file.write(*self._plan.identifier())
        for offset in REGION_TABLE_OFFSETS:
            self._file.write(offset, self._plan.region_table())
        self._file.write(*self._plan.metadata(complete=False))
        self._file.grow(self._end)

    def _write_data(self, offset: int, data: memoryview) -> None:
        for file_offset, start, length in self._places(offset, len(data)):
            self._file.write(file_offset, data[start - offset : start - offset + length])

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        within = offset % self._plan.block_size
        if not self._fixed and within + length <= self._plan.block_size:
            copy_range(source, source_offset, self._file, self._take(offset, offset + length), length)
            return
        for file_offset, start, count in self._places(offset, length):
            copy_range(source, source_offset + start - offset, self._file, file_offset, count)

    def _write_zero(self, offset: int, length: int) -> None:
        if not self._differencing:
            return
        size = self._plan.block_size
        for start, end in self._by_block(offset, offset + length):
            if start % size == 0 and end - start > size:
                self._close_block()
                self._zero_blocks(start // size, end // size)
            else:
                self._enter(start // size)
                self._note(start, end)

    def _zero_blocks(self, block: int, end: int) -> None:
        """Mark whole blocks, chunk by chunk: a chunk's bitmap has its entry behind theirs."""
        ratio = self._plan.geometry.chunk_ratio
        while block < end:
            count = min(end - block, ratio - block % ratio)
            self._close_chunk_before(block)
            self._bat.set_blocks(block, count, PayloadState.ZERO)
            block += count

    def _places(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Where in the file a range of the disk goes, as (file offset, disk offset, length); neighbours are joined."""
        if self._fixed:
            yield self._end + offset, offset, length
            return
        place, first, last = 0, offset, offset
        for start, end in self._by_piece(offset, offset + length):
            file_offset = self._take(start, end)
            if start == first or file_offset != place + start - first:
                if last > first:
                    yield place, first, last - first
                place, first = file_offset, start
            last = end
        if last > first:
            yield place, first, last - first

    def _by_piece(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The range, cut at the blocks' borders."""
        size = self._plan.block_size
        while start < end:
            stop = min(end, (start // size + 1) * size)
            yield start, stop
            start = stop

    def _by_block(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The range as what comes before whole blocks, the whole blocks at once, and what comes after."""
        size = self._plan.block_size
        first, last = min(end, -(-start // size) * size), max(start, end // size * size)
        if first >= last:
            yield from self._by_piece(start, end)
            return
        for each in ((start, first), (first, last), (last, end)):
            if each[0] < each[1]:
                yield each

    def _take(self, start: int, end: int) -> int:
        """Make room for a range inside a block; where it is in the file."""
        size = self._plan.block_size
        self._enter(start // size)
        self._note(start, end)
        return self._allocated() + start % size

    def _enter(self, block: int) -> None:
        if block != self._block:
            self._close_block()
            self._close_chunk_before(block)
            self._block = block

    def _allocated(self) -> int:
        """Where the present block lies."""
        if not self._block_offset:
            self._block_offset, self._end = self._end, self._end + self._plan.block_size
        return self._block_offset

    def _note(self, start: int, end: int) -> None:
        """Remember which sectors of the block are here; without a parent all of them are."""
        if not self._differencing:
            return
        base, sector = self._block * self._plan.block_size, self.new.sector_size
        first, last = (start - base) // sector, (end - base) // sector
        if self._runs and self._runs[-1][1] == first:
            first = self._runs.pop()[0]
        self._runs.append((first, last))

    def _close_block(self) -> None:
        """Give the present block its entry, and its bits in the bitmap when only some of it is here."""
        if self._block < 0:
            return
        if self._differencing and not self._covered():
            state = PayloadState.PARTIALLY_PRESENT
            self._allocated()
            self._set_bits()
        else:
            state = PayloadState.FULLY_PRESENT if self._block_offset else PayloadState.ZERO
        self._bat.set_blocks(self._block, 1, self._block_offset | state)
        self._block, self._block_offset, self._runs = -1, 0, []

    def _covered(self) -> bool:
        """Whether all of the present block's sectors that the disk has are here."""
        size = min(self._plan.block_size, self.new.size - self._block * self._plan.block_size)
        return self._runs == [(0, size // self.new.sector_size)]

    def _set_bits(self) -> None:
        chunk, number = divmod(self._block, self._plan.geometry.chunk_ratio)
        if not self._bitmap:
            self._chunk, self._bitmap = chunk, bytearray(BITMAP_LENGTH)
        base = number * self._plan.block_size // self.new.sector_size
        for first, last in self._runs:
            set_run(self._bitmap, base + first, base + last)

    def _close_chunk_before(self, block: int) -> None:
        if self._bitmap and block // self._plan.geometry.chunk_ratio != self._chunk:
            self._close_chunk()

    def _close_chunk(self) -> None:
        """Write the present chunk's bitmap, when it has one; where it has no bits, the file may stay a hole."""
        if self._bitmap:
            for first, last, zero in zero_runs(self._bitmap, 0, BITMAP_LENGTH):
                if not zero:
                    self._file.write(self._end + first, memoryview(self._bitmap)[first:last])
            self._bat.set_bitmap(self._chunk, self._end | BITMAP_PRESENT)
            self._end += BITMAP_LENGTH
            self._bitmap = bytearray()
