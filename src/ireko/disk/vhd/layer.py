"""Reading a VHD file: fixed, dynamic and differencing."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from ireko.disk.base import (
    Allocation,
    Extent,
    ExtentKind,
    Identity,
    Layer,
    LayerInfo,
    ParentReference,
    PathKind,
    Problem,
    Progress,
    RecordedPath,
    clip,
)
from ireko.disk.bits import reverse_bits, runs
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.tables import all_equal, in_order, stretches
from ireko.disk.vhd.structures import (
    ABSOLUTE_LOCATOR,
    BLOCK_SIZE_MAXIMUM,
    BLOCK_SIZE_MINIMUM,
    BLOCKS_MAXIMUM,
    NOT_ALLOCATED,
    RELATIVE_LOCATOR,
    SECTOR,
    SIZE_MAXIMUM,
    VERSION,
    DiskType,
    DynamicHeader,
    Footer,
    bitmap_length,
)

_ALLOCATIONS = {
    DiskType.FIXED: Allocation.FIXED,
    DiskType.DYNAMIC: Allocation.DYNAMIC,
    DiskType.DIFFERENCING: Allocation.DIFFERENCING,
}
_PATH_MAXIMUM = 1 << 16
_PAGE = 8192  # entries of the BAT


def open_vhd(file: DiskFile) -> Layer:
    """Open a VHD file. Raises DiskDamaged, DiskUnsupported."""
    footer = read_footer(file)
    if footer.version != VERSION:
        raise DiskUnsupported(file.path, "the version in the footer", found=hex(footer.version), wanted=hex(VERSION))
    if footer.disk_type not in _ALLOCATIONS:
        raise DiskUnsupported(file.path, "the disk type in the footer", found=footer.disk_type, wanted="2, 3 or 4")
    if footer.current_size % SECTOR or not footer.current_size:
        wanted = f"a multiple of {SECTOR} above 0"
        raise DiskDamaged(file.path, "the current size in the footer", found=footer.current_size, wanted=wanted)
    if footer.disk_type == DiskType.FIXED:
        return FixedLayer(file, footer)
    if footer.current_size > SIZE_MAXIMUM:
        wanted = f"{SIZE_MAXIMUM} or less"
        raise DiskUnsupported(file.path, "the current size in the footer", found=footer.current_size, wanted=wanted)
    return DynamicLayer(file, footer, _read_header(file, footer))


def read_footer(file: DiskFile) -> Footer:
    """The footer at the end, or its copy at the start when that one can't be used. Raises DiskDamaged."""
    end = file.length() - Footer.LENGTH
    try:
        return Footer.unpack(file.read(max(0, end), Footer.LENGTH))
    except ValueError as error:
        try:
            return Footer.unpack(file.read(0, Footer.LENGTH))
        except ValueError:
            raise DiskDamaged(file.path, "the footer", offset=end, found=error, wanted="as it was written") from None


def _read_header(file: DiskFile, footer: Footer) -> DynamicHeader:
    offset = footer.data_offset
    data = file.read_exactly(offset, DynamicHeader.LENGTH, "the dynamic disk header")
    try:
        header = DynamicHeader.unpack(data)
    except ValueError as error:
        name = "the dynamic disk header"
        raise DiskDamaged(file.path, name, offset=offset, found=error, wanted="as it was written") from None
    if header.header_version != VERSION:
        version, wanted = hex(header.header_version), hex(VERSION)
        raise DiskUnsupported(
            file.path, "the dynamic disk header's version", offset=offset, found=version, wanted=wanted
        )
    size = header.block_size
    if size & (size - 1) or not BLOCK_SIZE_MINIMUM <= size <= BLOCK_SIZE_MAXIMUM:
        wanted = f"a power of two from {BLOCK_SIZE_MINIMUM} to {BLOCK_SIZE_MAXIMUM}"
        raise DiskDamaged(file.path, "the block size", offset=offset, found=size, wanted=wanted)
    blocks = -(-footer.current_size // size)
    if blocks > BLOCKS_MAXIMUM:
        wanted = f"{BLOCKS_MAXIMUM} or less"
        raise DiskUnsupported(file.path, "the number of blocks", offset=offset, found=blocks, wanted=wanted)
    if header.max_table_entries < blocks:
        found, wanted = header.max_table_entries, f"{blocks} or more for a disk of this size"
        raise DiskDamaged(file.path, "the number of BAT entries", offset=offset, found=found, wanted=wanted)
    return header


class FixedLayer(Layer):
    """A fixed disk: its content, then the footer."""

    def __init__(self, file: DiskFile, footer: Footer) -> None:
        if footer.current_size + Footer.LENGTH > file.length():
            found, wanted = f"{file.length()} bytes", f"the disk's {footer.current_size} and {Footer.LENGTH} more"
            raise DiskDamaged(file.path, "the file's length", found=found, wanted=wanted)
        super().__init__(file, _describe(file.path, footer))

    def check(self, progress: Progress) -> Iterator[Problem]:
        """As promised: the footer is all there is."""
        yield from _check_footers(self.file, [self.file.length() - Footer.LENGTH])

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        yield Extent(start, end - start, ExtentKind.DATA, start)


class DynamicLayer(Layer):
    """A dynamic or a differencing disk."""

    def __init__(self, file: DiskFile, footer: Footer, header: DynamicHeader) -> None:
        parent = _parent(file, header) if footer.disk_type == DiskType.DIFFERENCING else None
        super().__init__(file, _describe(file.path, footer, header, parent))
        self._header = header
        self._length = file.length()
        self._bitmap_length = bitmap_length(header.block_size)
        self._pages: dict[int, array[int]] = {}

    def check(self, progress: Progress) -> Iterator[Problem]:
        """As promised: both footers, and every entry of the BAT."""
        yield from _check_footers(self.file, [0, self._length - Footer.LENGTH])
        size = self._bitmap_length + self._header.block_size
        progress.begin(self._blocks(self.info.size) * 4)
        allocated = array("Q")  # place in the file and number of the block, in one
        for first, entries in self._pieces(0, self._blocks(self.info.size)):
            for block, entry in enumerate([] if _nothing(entries) else entries, first):
                if entry != NOT_ALLOCATED and not Footer.LENGTH <= entry * SECTOR < self._length:
                    yield self._wrong(block, f"at {entry * SECTOR}", f"inside the file of {self._length} bytes")
                elif entry != NOT_ALLOCATED:
                    allocated.append(entry << 32 | block)
            progress.advance(len(entries) * 4)
        free, table = 0, self._header.table_offset
        table_end = table + self._header.max_table_entries * 4
        for each in sorted(allocated):
            offset, block = (each >> 32) * SECTOR, each & 0xFFFFFFFF
            if offset < free or (offset < table_end and offset + size > table):
                yield self._wrong(block, f"on top of something else at {offset}", "alone in its place")
            free = max(free, offset + size)

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        size = self._header.block_size
        for first, entries in self._pieces(start // size, self._blocks(end)):
            for begun, stretch in stretches(entries, first, 0):
                if _nothing(stretch):
                    yield clip(Extent(begun * size, len(stretch) * size, ExtentKind.ABSENT), start, end)
                    continue
                for block, entry in enumerate(stretch, begun):
                    yield from self._block(block, entry, start, end)

    def _block(self, block: int, entry: int, start: int, end: int) -> Iterator[Extent]:
        size = self._header.block_size
        if entry == NOT_ALLOCATED:
            yield clip(Extent(block * size, size, ExtentKind.ABSENT), start, end)
        else:
            yield from self._sectors(block, entry * SECTOR, start, end)

    def _sectors(self, block: int, offset: int, start: int, end: int) -> Iterator[Extent]:
        """The runs of a block; a sector whose bit is not set was never written."""
        if not Footer.LENGTH <= offset < self._length:
            problem = self._wrong(block, f"at {offset}", f"inside the file of {self._length} bytes")
            raise DiskDamaged(
                self.file.path, problem.structure, offset=problem.offset, found=problem.found, wanted=problem.wanted
            )
        base = block * self._header.block_size
        low = max(0, start - base) // SECTOR
        high = -(-min(self._header.block_size, end - base) // SECTOR)
        data = self.file.read_exactly(
            offset + low // 8, -(-high // 8) - low // 8, f"the sector bitmap of block {block}"
        )
        skip = low - low % 8
        for first, last, present in runs(reverse_bits(data), low - skip, high - skip):
            place, length = (skip + first) * SECTOR, (last - first) * SECTOR
            kind = ExtentKind.DATA if present else ExtentKind.ABSENT
            file_offset = offset + self._bitmap_length + place if present else None
            yield clip(Extent(base + place, length, kind, file_offset), start, end)

    def _blocks(self, end: int) -> int:
        return -(-end // self._header.block_size)

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, array[int]]]:
        """The entries of blocks `start` to `end`, as (first block, entries)."""
        while start < end:
            number, place = divmod(start, _PAGE)
            entries = self._page(number)[place : place + end - start]
            yield start, entries
            start += len(entries)

    def _page(self, number: int) -> array[int]:
        if (page := self._pages.get(number)) is None:
            first = self._header.table_offset + number * _PAGE * 4
            count = min(_PAGE, self._blocks(self.info.size) - number * _PAGE)
            page = array("I", self.file.read_exactly(first, count * 4, "the BAT"))
            in_order(page, "big")
            self._pages = {number: page}
        return page

    def _wrong(self, block: int, found: str, wanted: str) -> Problem:
        return Problem(f"the BAT entry of block {block}", found, wanted, self._header.table_offset + block * 4)


def _nothing(entries: array[int]) -> bool:
    return entries[0] == NOT_ALLOCATED and all_equal(entries)


def _describe(
    path: Path, footer: Footer, header: DynamicHeader | None = None, parent: ParentReference | None = None
) -> LayerInfo:
    creator = footer.creator_application.decode("ascii", errors="replace").strip("\0 ")
    return LayerInfo(
        path=path,
        format="vhd",
        allocation=_ALLOCATIONS[DiskType(footer.disk_type)],
        size=footer.current_size,
        block_size=header.block_size if header else 0,
        identity=Identity(content=str(footer.unique_id)),
        parent=parent,
        details={"creator": creator},
    )


def _parent(file: DiskFile, header: DynamicHeader) -> ParentReference:
    kinds = {RELATIVE_LOCATOR: PathKind.RELATIVE, ABSOLUTE_LOCATOR: PathKind.ABSOLUTE}
    found = {kind: text for code, kind in kinds.items() if (text := _located_path(file, header, code))}
    if not found and header.parent_name:
        found[PathKind.RELATIVE] = header.parent_name
    paths = tuple(RecordedPath(kind, text, windows=True) for kind, text in found.items())
    return ParentReference(paths, (str(header.parent_id),), format="vhd")


def _located_path(file: DiskFile, header: DynamicHeader, wanted: bytes) -> str:
    for code, length, offset, _ in header.locators:
        if code == wanted:
            if length > _PATH_MAXIMUM:
                raise DiskDamaged(
                    file.path, "the parent locator's length", found=length, wanted=f"{_PATH_MAXIMUM} or less"
                )
            data = file.read_exactly(offset, length, "the parent locator")
            return data.decode("utf-16-le", errors="replace").partition("\0")[0]
    return ""


def _check_footers(file: DiskFile, offsets: list[int]) -> Iterator[Problem]:
    found = []
    for offset in offsets:
        try:
            found.append(Footer.unpack(file.read(offset, Footer.LENGTH)))
        except ValueError as error:
            yield Problem("the footer", str(error), "as it was written", offset)
    if len(found) > 1 and found[0] != found[1]:
        yield Problem("the copy of the footer", "different from the footer", "the same", offsets[0])
