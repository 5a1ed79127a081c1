"""Reading a VHDX file."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.disk.base import (
    Allocation,
    Extent,
    ExtentKind,
    Identity,
    Layer,
    LayerInfo,
    Problem,
    Progress,
    clip,
)
from ireko.disk.bits import runs as bit_runs
from ireko.disk.files import DiskFile
from ireko.disk.tables import runs
from ireko.disk.vhdx.check import check_structures
from ireko.disk.vhdx.headers import KNOWN_REGIONS
from ireko.disk.vhdx.opening import Structures, read_structures
from ireko.disk.vhdx.structures import (
    CREATOR_LENGTH,
    HEADER_SECTION_LENGTH,
    NIL,
    OFFSET_MASK,
    SIGNATURE,
    STATE_MASK,
    PayloadState,
)

_BITS = 1 << 16
"""Of a sector bitmap, looked at together."""
_HIDING = (PayloadState.UNDEFINED, PayloadState.ZERO, PayloadState.UNMAPPED)


def open_vhdx(file: DiskFile) -> VhdxLayer:
    """Open a VHDX file. Raises DiskDamaged, DiskUnsupported."""
    return VhdxLayer(read_structures(file))


class VhdxLayer(Layer):
    """A VHDX file, open for reading. A log that it has is replayed in memory; the file stays as it is."""

    def __init__(self, structures: Structures) -> None:
        super().__init__(structures.file, _describe(structures))
        self._structures = structures
        self._replayed = structures.replayed
        self._bat = structures.bat
        self._differencing = structures.metadata.parent is not None

    @property
    def locator(self) -> dict[str, str]:
        """The parent locator's entries, as they stand in the file."""
        return dict(self._structures.metadata.locator)

    def check(self, progress: Progress) -> Iterator[Problem]:
        """As promised: headers, region tables, every entry of the BAT, and that nothing overlaps."""
        return check_structures(self._structures, progress)

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        if not self._replayed.changed:
            return self._located(start, end)
        return (piece for extent in self._located(start, end) for piece in self._split(extent))

    def _located(self, start: int, end: int) -> Iterator[Extent]:
        """The extents, with the place of data in the replayed file."""
        size = self.info.block_size
        for first, entries in self._bat.pieces(start // size, -(-end // size)):
            for block, count, entry in runs(entries, first, size, _is_here):
                extents = self._blocks(block, count, entry, start, end)
                if start <= block * size and (block + count) * size <= end:
                    yield from extents
                else:
                    yield from (clip(extent, start, end) for extent in extents)

    def _blocks(self, first: int, count: int, entry: int, start: int, end: int) -> Iterator[Extent]:
        """The extents of blocks whose entries continue each other."""
        size, state = self.info.block_size, entry & STATE_MASK
        if state == PayloadState.FULLY_PRESENT:
            self._offset(first + count - 1, entry + (count - 1) * size)
            yield Extent(first * size, count * size, ExtentKind.DATA, self._offset(first, entry))
        elif state <= PayloadState.UNMAPPED:
            yield Extent(first * size, count * size, self._kind(state))
        elif state == PayloadState.PARTIALLY_PRESENT and self._differencing:
            self._offset(first + count - 1, entry + (count - 1) * size)
            yield from self._partial(first, count, self._offset(first, entry), start, end)
        else:
            index, wanted = self._bat.geometry.payload_index(first), "a state that this kind of disk may have"
            raise self._bat.wrong(index, f"of block {first}", state, entry & OFFSET_MASK, wanted)

    def _kind(self, state: int) -> ExtentKind:
        return ExtentKind.ZERO if state in _HIDING else ExtentKind.ABSENT

    def _offset(self, block: int, entry: int) -> int:
        """Where a block lies in the file. The last block of a file may be cut off where it was never written."""
        offset = entry & OFFSET_MASK
        if HEADER_SECTION_LENGTH <= offset < self._replayed.length:
            return offset
        index = self._bat.geometry.payload_index(block)
        wanted = f"an offset in the file, from {HEADER_SECTION_LENGTH} to {self._replayed.length}"
        raise self._bat.wrong(index, f"of block {block}", entry & STATE_MASK, offset, wanted)

    def _partial(self, block: int, count: int, offset: int, start: int, end: int) -> Iterator[Extent]:
        """The runs of blocks that are partially present and lie one after the other, between two offsets of the disk."""
        sector, base = self.info.sector_size, block * self.info.block_size
        low = max(0, start - base) // sector
        high = -(-min(count * self.info.block_size, end - base) // sector)
        shift = offset - base
        for first in range(low, high, _BITS):
            last = min(high, first + _BITS)
            begin = base + (first - first % 8) * sector
            for here, stop, present in bit_runs(self._bitmap(block, first, last), first % 8, first % 8 + last - first):
                place, length = begin + here * sector, (stop - here) * sector
                if present:
                    yield Extent(place, length, ExtentKind.DATA, place + shift)
                else:
                    yield Extent(place, length, ExtentKind.ABSENT)

    def _bitmap(self, block: int, low: int, high: int) -> bytes:
        """The bytes of the sector bitmap that hold the bits `low` to `high`, counted from a block's first."""
        chunk, number = divmod(block, self._bat.geometry.chunk_ratio)
        first = number * self.info.block_size // self.info.sector_size // 8 + low // 8
        length = -(-high // 8) - low // 8
        return self._replayed.read_exactly(self._bat.bitmap_offset(chunk) + first, length, "a sector bitmap")

    def _split(self, extent: Extent) -> Iterator[Extent]:
        """Take the file offset from what the log changes: there the file is not what it will be."""
        if extent.file_offset is None:
            yield extent
            return
        place = extent.file_offset
        shift, end = extent.offset - place, place + extent.length
        for start, stop in self._replayed.changes_in(place, end):
            yield Extent(place + shift, start - place, ExtentKind.DATA, place)
            yield Extent(start + shift, stop - start, ExtentKind.DATA)
            place = stop
        yield Extent(place + shift, end - place, ExtentKind.DATA, place)

    def _read_encoded(self, offset: int, view: memoryview) -> None:
        for extent in self._located(offset, offset + len(view)):
            if extent.file_offset is not None:
                piece = view[extent.offset - offset : extent.end - offset]
                count = self._replayed.read_into(extent.file_offset, piece)
                piece[count:] = bytes(len(piece) - count)


def _is_here(entry: int) -> bool:
    """Whether an entry's block has a place in the file, so that the next one may follow it there."""
    return entry & STATE_MASK >= PayloadState.FULLY_PRESENT


def _describe(structures: Structures) -> LayerInfo:
    metadata, header = structures.metadata, structures.header
    allocation = Allocation.FIXED if metadata.fixed else Allocation.DYNAMIC
    return LayerInfo(
        path=structures.file.path,
        format="vhdx",
        allocation=Allocation.DIFFERENCING if metadata.parent else allocation,
        size=metadata.size,
        sector_size=metadata.sector_size,
        physical_sector_size=metadata.physical_sector_size,
        block_size=metadata.block_size,
        identity=Identity(str(header.data_write_guid), str(metadata.disk_id)),
        parent=metadata.parent,
        dirty=header.log_guid != NIL,
        kept=metadata.kept,
        details=_details(structures),
    )


def _details(structures: Structures) -> dict[str, str]:
    creator = structures.file.read(len(SIGNATURE), CREATOR_LENGTH).decode("utf-16-le", errors="replace")
    details = {"creator": creator.partition("\0")[0], "file write id": str(structures.header.file_write_guid)}
    if unknown := [str(each.guid) for each in structures.regions if each.guid not in KNOWN_REGIONS]:
        details["unknown regions"] = ", ".join(unknown)
    return details
