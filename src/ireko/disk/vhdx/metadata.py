"""Reading the metadata region of a VHDX file (MS-VHDX 2.6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from ireko.disk.base import Kept, ParentReference
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.vhdx.locator import reference, unpack_locator
from ireko.disk.vhdx.log import ReplayedFile
from ireko.disk.vhdx.structures import (
    BLOCK_SIZE_MAXIMUM,
    BLOCK_SIZE_MINIMUM,
    FILE_PARAMETERS,
    GEOMETRY,
    HAS_PARENT,
    INCOMPLETE_FILE,
    ITEMS_MAXIMUM,
    KEPT_ITEMS_MAXIMUM,
    KEPT_MAXIMUM,
    LABEL_STORAGE,
    LEAVE_BLOCKS_ALLOCATED,
    LOGICAL_SECTOR_SIZE,
    MIB,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    SECTOR_SIZES,
    SIZE_MAXIMUM,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    MetadataEntry,
    MetadataTable,
    Region,
)

# by number, as UUIDs are slow to look up
_NAMES = {
    FILE_PARAMETERS.int: "the file parameters",
    VIRTUAL_DISK_SIZE.int: "the virtual disk size",
    VIRTUAL_DISK_ID.int: "the virtual disk id",
    LOGICAL_SECTOR_SIZE.int: "the logical sector size",
    PHYSICAL_SECTOR_SIZE.int: "the physical sector size",
    PARENT_LOCATOR.int: "the parent locator",
    # these say nothing about where data is
    GEOMETRY.int: "the geometry",
    LABEL_STORAGE.int: "the label storage",
}
_WRITTEN = _NAMES.keys() - {LABEL_STORAGE.int}
"""Those that a new file has from what it is, or, like the geometry, that follow from that."""
_AT_ONCE = 4096
"""Bytes of the table, and of the items, that are read before it is known how long they are."""


@dataclass(frozen=True)
class Metadata:
    """What the items say. `locator` are the parent locator's entries as they stand, `items` all that the table lists."""

    block_size: int
    fixed: bool
    size: int
    disk_id: UUID
    sector_size: int
    physical_sector_size: int
    parent: ParentReference | None
    locator: dict[str, str]
    items: list[MetadataEntry]
    kept: tuple[Kept, ...]


class _Reader:
    def __init__(self, file: ReplayedFile, region: Region) -> None:
        self._file = file
        self._region = region
        self._begin = self._at_once(0)
        self._items_begin = self._at_once(MetadataTable.LENGTH)
        self.items = self._table()
        self._system = {each.item_id.int: each for each in self.items if not each.is_user}

    def _at_once(self, place: int) -> bytes:
        offset = self._region.file_offset + place
        length = min(_AT_ONCE, self._region.length - place, self._file.length - offset)
        return self._file.read_exactly(offset, max(0, length), "the metadata region")

    def _read(self, place: int, length: int, name: str) -> bytes:
        """Bytes of the region."""
        for begin, known in ((MetadataTable.LENGTH, self._items_begin), (0, self._begin)):
            if begin <= place and place + length <= begin + len(known):
                return known[place - begin : place - begin + length]
        return self._file.read_exactly(self._region.file_offset + place, length, name)

    def _table(self) -> list[MetadataEntry]:
        offset = self._region.file_offset
        data = self._read(0, MetadataTable.HEAD_LENGTH, "the metadata table")
        if not data.startswith(MetadataTable.SIGNATURE):
            wanted = f"signed {MetadataTable.SIGNATURE!r}"
            raise DiskDamaged(
                self._file.path, "the metadata table", offset=offset, found=f"signed {data[:8]!r}", wanted=wanted
            )
        if (count := MetadataTable.count(data)) > ITEMS_MAXIMUM:
            name = "the number of metadata items"
            raise DiskDamaged(self._file.path, name, offset=offset, found=count, wanted="2047 or less")
        length = MetadataTable.HEAD_LENGTH + count * MetadataTable.ENTRY_LENGTH
        entries = MetadataTable.unpack(self._read(0, length, "the metadata table"))
        seen: set[tuple[int, bool]] = set()
        for each in entries:
            self._check_entry(each, seen)
            seen.add((each.item_id.int, each.is_user))
        return entries

    def _check_entry(self, entry: MetadataEntry, seen: set[tuple[int, bool]]) -> None:
        item_id = entry.item_id.int
        known = not entry.is_user and item_id in _NAMES
        name = _NAMES[item_id] if known else f"the metadata item {entry.item_id}"
        if item_id == INCOMPLETE_FILE.int and not entry.is_user:
            raise DiskDamaged(self._file.path, "the file", found="marked as not finished", wanted="made to the end")
        if not known and entry.is_required:
            raise DiskUnsupported(self._file.path, name, found="required", wanted="one that is known here")
        if (item_id, entry.is_user) in seen:
            raise DiskDamaged(self._file.path, name, found="listed twice", wanted="listed once")
        end = entry.offset + entry.length
        if entry.length and (entry.offset < MetadataTable.LENGTH or end > self._region.length or entry.length > MIB):
            found = f"{entry.length} bytes at {entry.offset} of the metadata region"
            wanted = "1 MiB or less, between its table and its end"
            raise DiskDamaged(self._file.path, name, found=found, wanted=wanted)

    def item(self, item_id: UUID, length: int = 0) -> bytes:
        name = _NAMES[item_id.int]
        entry = self._system.get(item_id.int)
        if entry is None:
            raise DiskDamaged(self._file.path, name, found="missing", wanted="in the metadata table")
        offset = self._region.file_offset + entry.offset
        if length and entry.length != length:
            found = f"{entry.length} bytes long"
            raise DiskDamaged(self._file.path, name, offset=offset, found=found, wanted=f"{length} bytes long")
        return self._read(entry.offset, entry.length, name)

    def number(self, item_id: UUID, length: int) -> int:
        return int.from_bytes(self.item(item_id, length), "little")

    def wrong(self, item_id: UUID, found: object, wanted: object) -> DiskDamaged:
        entry = self._system[item_id.int]
        offset = self._region.file_offset + entry.offset
        return DiskDamaged(self._file.path, _NAMES[item_id.int], offset=offset, found=found, wanted=wanted)

    def kept(self) -> Iterator[Kept]:
        """The items that mean nothing here; none when they are more than there is room for in a new file."""
        entries = [each for each in self.items if each.is_user or each.item_id.int not in _WRITTEN]
        if len(entries) > KEPT_ITEMS_MAXIMUM or sum(each.length for each in entries) > KEPT_MAXIMUM:
            return
        for each in entries:
            data = self._read(each.offset, each.length, f"the metadata item {each.item_id}") if each.length else b""
            yield Kept(str(each.item_id), data, each.is_user, each.is_virtual_disk, each.is_required)

    def locator(self) -> tuple[dict[str, str], ParentReference]:
        data = self.item(PARENT_LOCATOR)
        try:
            entries = unpack_locator(data)
            return entries, reference(entries)
        except ValueError as error:
            found, _, wanted = str(error).partition(", it must be ")
            raise self.wrong(PARENT_LOCATOR, found, wanted) from error


def read_metadata(file: ReplayedFile, region: Region) -> Metadata:
    """All that is known of the disk. Raises DiskDamaged, DiskUnsupported."""
    reader = _Reader(file, region)
    block_size, flags = struct.unpack("<II", reader.item(FILE_PARAMETERS, 8))
    if block_size & (block_size - 1) or not BLOCK_SIZE_MINIMUM <= block_size <= BLOCK_SIZE_MAXIMUM:
        raise reader.wrong(FILE_PARAMETERS, f"a block size of {block_size}", "a power of two from 1 to 256 MiB")
    sizes = [reader.number(each, 4) for each in (LOGICAL_SECTOR_SIZE, PHYSICAL_SECTOR_SIZE)]
    for item_id, found in zip((LOGICAL_SECTOR_SIZE, PHYSICAL_SECTOR_SIZE), sizes, strict=True):
        if found not in SECTOR_SIZES:
            raise reader.wrong(item_id, found, "512 or 4096")
    size = reader.number(VIRTUAL_DISK_SIZE, 8)
    if size % sizes[0] or not 0 < size <= SIZE_MAXIMUM:
        raise reader.wrong(VIRTUAL_DISK_SIZE, size, f"a multiple of {sizes[0]} above 0 and up to 64 TiB")
    locator, parent = reader.locator() if flags & HAS_PARENT else ({}, None)
    return Metadata(
        block_size=block_size,
        fixed=bool(flags & LEAVE_BLOCKS_ALLOCATED),
        size=size,
        disk_id=UUID(bytes_le=reader.item(VIRTUAL_DISK_ID, 16)),
        sector_size=sizes[0],
        physical_sector_size=sizes[1],
        parent=parent,
        locator=locator,
        items=reader.items,
        kept=tuple(reader.kept()),
    )
