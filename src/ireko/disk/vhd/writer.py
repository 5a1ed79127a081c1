"""Writing fixed and dynamic VHD files in one pass. The footers come last: without them the file is no VHD file to anyone."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from uuid import UUID, uuid4

from ireko.disk.base import Allocation, LayerWriter, NewLayer
from ireko.disk.copying import copy_range
from ireko.disk.files import DiskFile
from ireko.disk.output import Output
from ireko.disk.tables import packed
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
from ireko.errors import InvalidInput, Unsupported

_BLOCK_SIZE = 2 << 20
_ALIGNMENT = 4096
"""Of data in the file, as Windows has it."""
_HEADER_OFFSET = Footer.LENGTH
_TABLE_OFFSET = 2048
# QEMU believes the size of those creators that it knows; of others it takes cylinders, heads and sectors, which are rounded
_CREATOR, _CREATOR_VERSION, _CREATOR_HOST = b"win ", 0x000A_0000, b"Wi2k"


def create_vhd(output: Output, new: NewLayer) -> LayerWriter:
    """Begin a VHD file. Raises InvalidInput for what VHD can't hold; Unsupported for a differencing disk."""
    if new.parent or new.allocation is Allocation.DIFFERENCING:
        raise Unsupported("differencing disks are not written as VHD", hint="use vhdx")
    if new.sector_size != SECTOR or new.size % SECTOR or not 0 < new.size <= SIZE_MAXIMUM:
        raise InvalidInput(
            f"the size is {new.size} in sectors of {new.sector_size} bytes, VHD has sectors of 512 and up to 2040 GiB"
        )
    return FixedWriter(output, new) if new.allocation is Allocation.FIXED else DynamicWriter(output, new)


class FixedWriter(LayerWriter):
    """Makes a fixed VHD file."""

    def __init__(self, output: Output, new: NewLayer) -> None:
        super().__init__(new)
        self._output = output
        self._file = output.file

    def finish(self) -> None:
        """As promised."""
        self._file.grow(self.new.size)
        self._file.write(self.new.size, _footer(self.new, DiskType.FIXED, NO_OFFSET).pack())
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _write_data(self, offset: int, data: memoryview) -> None:
        self._file.write(offset, data)

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        copy_range(source, source_offset, self._file, offset, length)

    def _write_zero(self, offset: int, length: int) -> None:
        pass  # the file is new


class DynamicWriter(LayerWriter):
    """Makes a dynamic VHD file."""

    def __init__(self, output: Output, new: NewLayer) -> None:
        super().__init__(new)
        self._output = output
        self._file = output.file
        self._block_size = new.block_size or _BLOCK_SIZE
        if (
            self._block_size & (self._block_size - 1)
            or not BLOCK_SIZE_MINIMUM <= self._block_size <= BLOCK_SIZE_MAXIMUM
        ):
            raise InvalidInput(f"the block size is {self._block_size}, VHD has powers of two from 4 KiB to 256 MiB")
        if -(-new.size // self._block_size) > BLOCKS_MAXIMUM:
            raise InvalidInput(f"blocks of {self._block_size} bytes are too small for a VHD disk of {new.size} bytes")
        self._bitmap_length = bitmap_length(self._block_size)
        self._table = array("I", [NOT_ALLOCATED]) * -(-new.size // self._block_size)
        self._end = _TABLE_OFFSET + -(-len(self._table) * 4 // SECTOR) * SECTOR

    def finish(self) -> None:
        """As promised."""
        self._file.grow(self._end)
        header = DynamicHeader(_TABLE_OFFSET, VERSION, len(self._table), self._block_size)
        self._file.write(_HEADER_OFFSET, header.pack())
        self._file.write(_TABLE_OFFSET, self._table_bytes())
        footer = _footer(self.new, DiskType.DYNAMIC, _HEADER_OFFSET).pack()
        self._file.write(self._end, footer)
        self._file.write(0, footer)
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _table_bytes(self) -> bytes:
        """The BAT, filled up to whole sectors with what stands for no block."""
        data = packed(self._table, "big")
        return data + b"\xff" * (-len(data) % SECTOR)

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
        """Where a block lies. A new one has its whole bitmap set: what isn't written of it is zeros in the file too."""
        if self._table[block] == NOT_ALLOCATED:
            self._end += -(self._end + self._bitmap_length) % _ALIGNMENT
            self._table[block] = self._end // SECTOR
            self._file.write(self._end, b"\xff" * self._bitmap_length)
            self._end += self._bitmap_length + self._block_size
        return self._table[block] * SECTOR


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
