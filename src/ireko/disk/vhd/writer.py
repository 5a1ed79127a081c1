"""Writing VHD files in one pass: docs/disk/vhd-writer.md says what each step stands on.

The footers come last: without them the file is no VHD file to anyone.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from uuid import UUID, uuid4

from ireko.disk.base import Allocation, LayerWriter, NewLayer, ParentReference
from ireko.disk.bits import reverse_bits, set_run
from ireko.disk.copying import copy_range
from ireko.disk.files import DiskFile
from ireko.disk.output import Output
from ireko.disk.raw import RawWriter
from ireko.disk.tables import packed
from ireko.disk.vhd.parent import TABLE_OFFSET, record_of
from ireko.disk.vhd.structures import (
    BLOCK_SIZE_MAXIMUM,
    BLOCK_SIZE_MINIMUM,
    BLOCKS_MAXIMUM,
    EPOCH,
    FEATURES,
    NO_OFFSET,
    NOT_ALLOCATED,
    SECTOR,
    SIZE_MAXIMUM,
    VERSION,
    DiskType,
    DynamicHeader,
    Footer,
    bitmap_length,
    geometry,
)
from ireko.errors import InvalidInput

_BLOCK_SIZE = 2 << 20
_ALIGNMENT = 4096
"""Of data in the file, and of its end, as Windows has it."""
_HEAD_MAXIMUM = 32 << 20
"""Bytes before the blocks: the largest BAT, and the paths of a parent."""
_HEADER_OFFSET = Footer.LENGTH
_TABLE_OFFSET = 2048
# QEMU believes the size of those creators that it knows; of others it takes cylinders, heads and sectors, which are rounded
_CREATOR, _CREATOR_VERSION, _CREATOR_HOST = b"win ", 0x000A_0000, b"Wi2k"


def create_vhd(output: Output, new: NewLayer) -> LayerWriter:
    """Begin a VHD file. Raises InvalidInput for what VHD can't hold."""
    if new.sector_size != SECTOR or new.size % SECTOR or not 0 < new.size <= SIZE_MAXIMUM:
        raise InvalidInput(
            f"the size is {new.size} in sectors of {new.sector_size} bytes, VHD has sectors of 512 and up to 2040 GiB"
        )
    if (new.parent is None) is (new.allocation is Allocation.DIFFERENCING):
        raise InvalidInput(f"a {new.allocation.value} disk {'needs a' if not new.parent else 'can have no'} parent")
    if new.parent:
        return DifferencingWriter(output, new, new.parent)
    return FixedWriter(output, new) if new.allocation is Allocation.FIXED else DynamicWriter(output, new)


class FixedWriter(RawWriter):
    """Makes a fixed VHD file: a raw disk, and the footer."""

    def finish(self) -> None:
        """As promised."""
        self._file.grow(self.new.size)
        self._file.write(self.new.size, _footer(self.new, DiskType.FIXED, NO_OFFSET).pack())
        self._output.publish()


class DynamicWriter(LayerWriter):
    """Makes a dynamic VHD file."""

    _disk_type = DiskType.DYNAMIC
    _table_unit = SECTOR

    def __init__(self, output: Output, new: NewLayer) -> None:
        super().__init__(new)
        self._output = output
        self._file = output.file
        self._block_size = _block_size(new)
        self._bitmap_length = bitmap_length(self._block_size)
        self._table = array("I", [NOT_ALLOCATED]) * -(-new.size // self._block_size)
        self._header = DynamicHeader(_TABLE_OFFSET, VERSION, len(self._table), self._block_size)
        self._end = _TABLE_OFFSET + len(self._table_bytes())

    def finish(self) -> None:
        """As promised."""
        self._end += -(self._end + Footer.LENGTH) % _ALIGNMENT
        self._file.grow(self._end)
        self._file.write(_HEADER_OFFSET, self._header.pack())
        self._file.write(self._header.table_offset, self._table_bytes())
        footer = _footer(self.new, self._disk_type, _HEADER_OFFSET).pack()
        self._file.write(self._end, footer)
        self._file.write(0, footer)
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _table_bytes(self) -> bytes:
        """The BAT, filled up with what stands for no block."""
        data = packed(self._table, "big")
        return data + b"\xff" * (-len(data) % self._table_unit)

    def _write_data(self, offset: int, data: memoryview) -> None:
        for place, start, end in self._places(offset, offset + len(data)):
            self._file.write(place, data[start - offset : end - offset])

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        for place, start, end in self._places(offset, offset + length):
            copy_range(source, source_offset + start - offset, self._file, place, end - start)

    def _write_zero(self, offset: int, length: int) -> None:
        pass  # what is not written reads as zeros

    def _places(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Where in the file a range of the disk goes, block by block, as (file offset, start, end)."""
        while start < end:
            block, within = divmod(start, self._block_size)
            stop = min(end, start - within + self._block_size)
            yield self._block_offset(block) + self._bitmap_length + within, start, stop
            start = stop

    def _block_offset(self, block: int) -> int:
        """Where a block lies; it begins with its bitmap."""
        if self._table[block] == NOT_ALLOCATED:
            self._end += -(self._end + self._bitmap_length) % _ALIGNMENT
            self._table[block] = self._end // SECTOR
            self._begin_bitmap()
            self._end += self._bitmap_length + self._block_size
        return self._table[block] * SECTOR

    def _begin_bitmap(self) -> None:
        """Have the bitmap of a block that is new at the end: all set, what isn't written of it is zeros in the file too."""
        self._file.write(self._end, b"\xff" * self._bitmap_length)


class DifferencingWriter(DynamicWriter):
    """Makes a differencing VHD file. The bitmap of one block is gathered, and written when the next block begins."""

    _disk_type = DiskType.DIFFERENCING
    _table_unit = _ALIGNMENT

    def __init__(self, output: Output, new: NewLayer, parent: ParentReference) -> None:
        super().__init__(output, new)
        self._record = record_of(parent, len(self._table_bytes()))
        self._header = DynamicHeader(
            TABLE_OFFSET,
            VERSION,
            len(self._table),
            self._block_size,
            parent_id=self._record.parent_id,
            parent_name=self._record.name,
            locators=self._record.locators,
        )
        self._end = self._record.end
        self._bitmap, self._bitmap_offset = bytearray(), 0

    def finish(self) -> None:
        """As promised."""
        self._close_bitmap()
        for offset, text in self._record.pieces():
            self._file.write(offset, text)
        super().finish()

    def _write_zero(self, offset: int, length: int) -> None:
        for _ in self._places(offset, offset + length):
            pass  # the bits say that these sectors are here, and in the file they are zeros

    def _places(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        for place, first, last in super()._places(start, end):
            base = first - first % self._block_size
            set_run(self._bitmap, (first - base) // SECTOR, (last - base) // SECTOR)
            yield place, first, last

    def _begin_bitmap(self) -> None:
        self._close_bitmap()
        self._bitmap, self._bitmap_offset = bytearray(self._bitmap_length), self._end

    def _close_bitmap(self) -> None:
        if self._bitmap:
            self._file.write(self._bitmap_offset, reverse_bits(bytes(self._bitmap)))


def _block_size(new: NewLayer) -> int:
    size = new.block_size or _BLOCK_SIZE
    if size & (size - 1) or not BLOCK_SIZE_MINIMUM <= size <= BLOCK_SIZE_MAXIMUM:
        raise InvalidInput(f"the block size is {size}, VHD has powers of two from 4 KiB to 256 MiB")
    blocks, bitmap = -(-new.size // size), -(-bitmap_length(size) // _ALIGNMENT) * _ALIGNMENT
    if blocks > BLOCKS_MAXIMUM or _HEAD_MAXIMUM + blocks * (bitmap + size) > NOT_ALLOCATED * SECTOR:
        raise InvalidInput(f"blocks of {size} bytes are too small for a VHD disk of {new.size} bytes")
    return size


def _footer(new: NewLayer, disk_type: DiskType, data_offset: int) -> Footer:
    cylinders, heads, sectors = geometry(new.size)
    return Footer(
        features=FEATURES,
        version=VERSION,
        data_offset=data_offset,
        time_stamp=max(0, int(time.time()) - EPOCH) & 0xFFFFFFFF,
        creator_application=_CREATOR,
        creator_version=_CREATOR_VERSION,
        creator_host=_CREATOR_HOST,
        original_size=new.size,
        current_size=new.size,
        cylinders=cylinders,
        heads=heads,
        sectors_per_track=sectors,
        disk_type=disk_type,
        unique_id=_uuid(new.content_id),
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text) if text else uuid4()
    except ValueError as error:
        raise InvalidInput(f'"{text}" is no UUID') from error
