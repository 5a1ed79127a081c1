"""Reading the block allocation table of a VHDX file (MS-VHDX 2.5), a page at a time.

Entries of payload blocks and of sector bitmap blocks are interleaved: after each chunk's payload entries stands the entry of the
bitmap that covers the chunk.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from ireko.disk.errors import DiskDamaged
from ireko.disk.tables import in_order
from ireko.disk.vhdx.log import ReplayedFile
from ireko.disk.vhdx.metadata import Metadata
from ireko.disk.vhdx.structures import (
    BITMAP_LENGTH,
    BITMAP_PRESENT,
    HEADER_SECTION_LENGTH,
    OFFSET_MASK,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    Region,
)

ENTRY_LENGTH = 8
_PAGE = 8192  # entries
_PAGES_KEPT = 64


class Geometry:
    """How many blocks and entries a disk has, and which entry is whose."""

    def __init__(self, *, size: int, block_size: int, sector_size: int, differencing: bool) -> None:
        self.block_size = block_size
        self.chunk_ratio = SECTORS_PER_BITMAP * sector_size // block_size
        self.blocks = -(-size // block_size)
        self.chunks = -(-self.blocks // self.chunk_ratio)
        plain = self.blocks + (self.blocks - 1) // self.chunk_ratio
        self.entries = self.chunks * (self.chunk_ratio + 1) if differencing else plain

    def payload_index(self, block: int) -> int:
        """The place of a payload block's entry."""
        return block + block // self.chunk_ratio

    def bitmap_index(self, chunk: int) -> int:
        """The place of the entry of a chunk's bitmap."""
        return (chunk + 1) * self.chunk_ratio + chunk


class Bat:
    """The table of one file. Raises DiskDamaged for entries that can't be used."""

    def __init__(self, file: ReplayedFile, region: Region, metadata: Metadata) -> None:
        self.geometry = Geometry(
            size=metadata.size,
            block_size=metadata.block_size,
            sector_size=metadata.sector_size,
            differencing=metadata.parent is not None,
        )
        self._file = file
        self._region = region
        self._pages: dict[int, array[int]] = {}
        if self.geometry.entries * ENTRY_LENGTH > region.length:
            wanted = f"the {self.geometry.entries * ENTRY_LENGTH} bytes of a disk of this size or more"
            raise DiskDamaged(
                file.path, "the BAT region's length", offset=region.file_offset, found=region.length, wanted=wanted
            )

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, array[int]]]:
        """The entries of payload blocks `start` to `end`, as (first block, entries); a piece is inside one chunk."""
        ratio = self.geometry.chunk_ratio
        while start < end:
            index = self.geometry.payload_index(start)
            page, place = divmod(index, _PAGE)
            count = min(end - start, ratio - start % ratio, _PAGE - place)
            yield start, self._page(page)[place : place + count]
            start += count

    def bitmap_entry(self, chunk: int) -> int:
        """The entry of a chunk's sector bitmap."""
        page, place = divmod(self.geometry.bitmap_index(chunk), _PAGE)
        return self._page(page)[place]

    def bitmap_offset(self, chunk: int) -> int:
        """Where the bitmap of a chunk lies, which has blocks that are partially present."""
        entry = self.bitmap_entry(chunk)
        state, offset = entry & STATE_MASK, entry & OFFSET_MASK
        if state != BITMAP_PRESENT or not HEADER_SECTION_LENGTH <= offset <= self._file.length - BITMAP_LENGTH:
            index = self.geometry.bitmap_index(chunk)
            wanted = f"state {BITMAP_PRESENT}, inside the file"
            raise self.wrong(index, f"of the bitmap of chunk {chunk}", state, offset, wanted)
        return offset

    def place(self, index: int) -> int:
        """The offset of an entry in the file."""
        return self._region.file_offset + index * ENTRY_LENGTH

    def wrong(self, index: int, whose: str, state: int, offset: int, wanted: str) -> DiskDamaged:
        """The error for an entry."""
        found = f"state {state}, at {offset}"
        return DiskDamaged(
            self._file.path, f"the BAT entry {whose}", offset=self.place(index), found=found, wanted=wanted
        )

    def _page(self, number: int) -> array[int]:
        if (page := self._pages.get(number)) is not None:
            return page
        first = number * _PAGE
        count = min(_PAGE, self.geometry.entries - first)
        page = array("Q", bytes(count * ENTRY_LENGTH))
        self._file.fill(self.place(first), memoryview(page).cast("B"), "the BAT")
        in_order(page, "little")
        if len(self._pages) >= _PAGES_KEPT:
            self._pages.clear()
        self._pages[number] = page
        return page
