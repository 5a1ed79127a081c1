"""Looking at every structure of a VHDX file: what `Layer.check` does for this format."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from ireko.disk.base import Problem, Progress
from ireko.disk.bits import any_in_run, set_run
from ireko.disk.errors import DiskDamaged
from ireko.disk.tables import all_equal, stretches
from ireko.disk.vhdx.bat import ENTRY_LENGTH
from ireko.disk.vhdx.headers import overlapping, read_header, read_region_table
from ireko.disk.vhdx.opening import Structures
from ireko.disk.vhdx.structures import (
    BITMAP_LENGTH,
    BITMAP_NOT_PRESENT,
    BITMAP_PRESENT,
    HEADER_OFFSETS,
    HEADER_SECTION_LENGTH,
    METADATA_REGION,
    MIB,
    OFFSET_MASK,
    REGION_TABLE_OFFSETS,
    RESERVED_MASK,
    SIZE_MAXIMUM,
    STATE_MASK,
    PayloadState,
)

_STATES = {each.value for each in PayloadState}
_LENGTH_MAXIMUM = 2 * SIZE_MAXIMUM
"""Of a file: more than any disk with all its tables takes."""


def check_structures(structures: Structures, progress: Progress) -> Iterator[Problem]:
    """Everything that breaks a rule."""
    yield from _headers(structures)
    yield from _regions(structures)
    yield from _items(structures)
    yield from _BatCheck(structures, progress).problems()


def _problem(read: Callable[[], object]) -> Iterator[Problem]:
    try:
        read()
    except DiskDamaged as error:
        yield Problem(error.structure, str(error.found), str(error.wanted), error.offset)


def _headers(structures: Structures) -> Iterator[Problem]:
    for number in range(len(HEADER_OFFSETS)):
        yield from _problem(lambda number=number: read_header(structures.file, number))  # type: ignore[misc]
    header = structures.header
    if header.log_offset % MIB or header.log_offset < HEADER_SECTION_LENGTH:
        yield Problem("the log's offset", str(header.log_offset), "a multiple of 1 MiB behind the header section")
    if header.log_length % MIB or not header.log_length:
        yield Problem("the log's length", str(header.log_length), "a multiple of 1 MiB above 0")


def _regions(structures: Structures) -> Iterator[Problem]:
    tables = []
    for number in range(len(REGION_TABLE_OFFSETS)):
        try:
            tables.append(read_region_table(structures.replayed, number))
        except DiskDamaged as error:
            yield Problem(error.structure, str(error.found), str(error.wanted), error.offset)
    if len(tables) > 1 and tables[0] != tables[1]:
        yield Problem("region table 2", "different from the first", "the same", REGION_TABLE_OFFSETS[1])
    for before, after, offset in overlapping(_spans(structures)):
        yield Problem(after, f"on top of {before}", "apart from it", offset)


def _items(structures: Structures) -> Iterator[Problem]:
    items = [each for each in structures.metadata.items if each.length]
    spans = [(each.offset, each.offset + each.length, f"the metadata item {each.item_id}") for each in items]
    region = next(each for each in structures.regions if each.guid == METADATA_REGION)
    for before, after, offset in overlapping(spans):
        yield Problem(after, f"on top of {before}", "apart from it", region.file_offset + offset)


def _spans(structures: Structures) -> list[tuple[int, int, str]]:
    header = structures.header
    regions = [(each.file_offset, each.end, f"the region {each.guid}") for each in structures.regions]
    log = (header.log_offset, header.log_offset + header.log_length, "the log")
    return [(0, HEADER_SECTION_LENGTH, "the header section"), log, *regions]


class _BatCheck:
    """Looks at every entry; keeps one bit for each MiB of the file that is taken."""

    def __init__(self, structures: Structures, progress: Progress) -> None:
        self._bat = structures.bat
        self._geometry = structures.bat.geometry
        self._length = structures.replayed.length
        self._differencing = structures.metadata.parent is not None
        self._progress = progress
        self._taken = bytearray(-(-min(self._length, _LENGTH_MAXIMUM) // MIB) // 8 + 1)
        for start, end, _ in _spans(structures):
            self._take(start, min(end, self._length, _LENGTH_MAXIMUM))

    def problems(self) -> Iterator[Problem]:
        if self._length > _LENGTH_MAXIMUM:
            yield Problem("the file's length", str(self._length), f"{_LENGTH_MAXIMUM} or less")
            return
        self._progress.begin(self._geometry.entries * ENTRY_LENGTH)
        for first, entries in self._bat.pieces(0, self._geometry.blocks):
            yield from self._payload(first, entries)
            self._progress.advance(len(entries) * ENTRY_LENGTH)
        for chunk in range(self._geometry.chunks if self._differencing else self._geometry.chunks - 1):
            yield from self._bitmap(chunk)
            self._progress.advance(ENTRY_LENGTH)

    def _payload(self, first: int, entries: array[int]) -> Iterator[Problem]:
        partial = False
        for start, stretch in stretches(entries, first, self._geometry.block_size):
            if not stretch[0] and all_equal(stretch):
                continue
            for block, entry in enumerate(stretch, start):
                partial = partial or entry & STATE_MASK == PayloadState.PARTIALLY_PRESENT
                yield from self._block(block, entry)
        if partial and self._differencing:
            chunk = first // self._geometry.chunk_ratio
            yield from _problem(lambda: self._bat.bitmap_offset(chunk))

    def _block(self, block: int, entry: int) -> Iterator[Problem]:
        index, state = self._geometry.payload_index(block), entry & STATE_MASK
        if not self._may_stand(state):
            yield self._wrong(index, f"of block {block}", f"in the state {state}", "in one this kind of disk may have")
        elif entry & RESERVED_MASK:
            yield self._wrong(index, f"of block {block}", f"{entry:#x}", "without reserved bits")
        elif state >= PayloadState.FULLY_PRESENT:
            yield from self._place(index, f"of block {block}", entry & OFFSET_MASK, self._geometry.block_size, MIB)

    def _may_stand(self, state: int) -> bool:
        return state in _STATES and (self._differencing or state != PayloadState.PARTIALLY_PRESENT)

    def _bitmap(self, chunk: int) -> Iterator[Problem]:
        entry = self._bat.bitmap_entry(chunk)
        state = entry & STATE_MASK
        index, whose = self._geometry.bitmap_index(chunk), f"of the bitmap of chunk {chunk}"
        if entry & RESERVED_MASK:
            yield self._wrong(index, whose, f"{entry:#x}", "without reserved bits")
        elif state == BITMAP_PRESENT and self._differencing:
            yield from self._place(index, whose, entry & OFFSET_MASK, BITMAP_LENGTH, BITMAP_LENGTH)
        elif state != BITMAP_NOT_PRESENT:
            yield self._wrong(index, whose, f"in the state {state}", "in one this kind of disk may have")

    def _place(self, index: int, whose: str, offset: int, length: int, least: int) -> Iterator[Problem]:
        """Whether a block is in the file and alone in its place; of the file's last one `least` bytes are enough."""
        if offset < HEADER_SECTION_LENGTH or offset + least > self._length:
            yield self._wrong(index, whose, f"at {offset}", f"inside the file of {self._length} bytes")
        elif any_in_run(self._taken, offset // MIB, self._end(offset, length) // MIB):
            yield self._wrong(index, whose, f"on top of something else at {offset}", "alone in its place")
        else:
            self._take(offset, self._end(offset, length))

    def _end(self, offset: int, length: int) -> int:
        return min(offset + length, -(-self._length // MIB) * MIB)

    def _take(self, start: int, end: int) -> None:
        set_run(self._taken, start // MIB, -(-end // MIB))

    def _wrong(self, index: int, whose: str, found: str, wanted: str) -> Problem:
        return Problem(f"the BAT entry {whose}", found, wanted, self._bat.place(index))
