"""What a new VHDX file is made of besides its content: docs/disk/vhdx-writer.md says which rule each part follows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID, uuid4

from ireko.disk.base import Allocation, NewLayer
from ireko.disk.vhdx.bat import ENTRY_LENGTH, Geometry
from ireko.disk.vhdx.locator import pack_locator
from ireko.disk.vhdx.structures import (
    BAT_REGION,
    BLOCK_SIZE_MAXIMUM,
    BLOCK_SIZE_MINIMUM,
    CREATOR_LENGTH,
    FILE_PARAMETERS,
    HAS_PARENT,
    INCOMPLETE_FILE,
    KEPT_ITEMS_MAXIMUM,
    KEPT_MAXIMUM,
    LEAVE_BLOCKS_ALLOCATED,
    LOG_VERSION,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    NIL,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    SECTOR_SIZES,
    SIGNATURE,
    SIZE_MAXIMUM,
    VERSION,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    Header,
    MetadataEntry,
    MetadataTable,
    Region,
    RegionTable,
)
from ireko.errors import InvalidInput

_CREATOR = "ireko"
_LOG_OFFSET, _LOG_LENGTH = MIB, MIB
_METADATA_OFFSET, _METADATA_LENGTH = 2 * MIB, MIB
_BAT_OFFSET = 3 * MIB
# what Windows chooses
_BLOCK_SIZE, _BLOCK_SIZE_DIFFERENCING = 32 * MIB, 2 * MIB
_PHYSICAL_SECTOR_SIZE = 4096
_INCOMPLETE = MetadataEntry(INCOMPLETE_FILE, 0, 0)


@dataclass(frozen=True)
class Plan:
    """Sizes and places of a new file, in the layout that Windows uses."""

    new: NewLayer
    block_size: int
    geometry: Geometry
    content_id: UUID
    disk_id: UUID

    @property
    def bat_offset(self) -> int:
        """Where the BAT begins."""
        return _BAT_OFFSET

    @property
    def blocks_offset(self) -> int:
        """Where the first block may lie."""
        return _BAT_OFFSET + self._bat_length

    @property
    def _bat_length(self) -> int:
        return -(-self.geometry.entries * ENTRY_LENGTH // MIB) * MIB

    def identifier(self) -> tuple[int, bytes]:
        """The file type identifier, and where it goes."""
        return 0, SIGNATURE + _CREATOR.encode("utf-16-le").ljust(CREATOR_LENGTH, b"\0")

    def region_table(self) -> bytes:
        """Either region table."""
        bat = Region(BAT_REGION, _BAT_OFFSET, self._bat_length, required=True)
        return RegionTable.pack([bat, Region(METADATA_REGION, _METADATA_OFFSET, _METADATA_LENGTH, required=True)])

    def metadata(self, *, complete: bool) -> tuple[int, bytes]:
        """The metadata table and items, and where they go; unless complete, with the mark that the file is not finished."""
        entries, items = [], b""
        for item_id, is_virtual_disk, data in self._items():
            place = MetadataTable.LENGTH + len(items)
            entries.append(MetadataEntry(item_id, place, len(data), is_virtual_disk=is_virtual_disk))
            items += data
        for kept in self.new.kept:
            place = MetadataTable.LENGTH + len(items) if kept.data else 0
            flags = kept.of_user, kept.of_disk, kept.is_required
            entries.append(MetadataEntry(_uuid(kept.name), place, len(kept.data), *flags))
            items += kept.data
        return _METADATA_OFFSET, MetadataTable.pack(entries if complete else [*entries, _INCOMPLETE]) + items

    def _items(self) -> list[tuple[UUID, bool, bytes]]:
        fixed = LEAVE_BLOCKS_ALLOCATED if self.new.allocation is Allocation.FIXED else 0
        flags = HAS_PARENT if self.new.parent else fixed
        physical = self.new.physical_sector_size or _PHYSICAL_SECTOR_SIZE
        items = [
            (FILE_PARAMETERS, False, struct.pack("<II", self.block_size, flags)),
            (VIRTUAL_DISK_SIZE, True, struct.pack("<Q", self.new.size)),
            (LOGICAL_SECTOR_SIZE, True, struct.pack("<I", self.new.sector_size)),
            (PHYSICAL_SECTOR_SIZE, True, struct.pack("<I", physical)),
            (VIRTUAL_DISK_ID, True, self.disk_id.bytes_le),
        ]
        if self.new.parent:
            items.append((PARENT_LOCATOR, False, pack_locator(self.new.parent)))
        return items

    def headers(self) -> list[bytes]:
        """Both headers, alike but for the sequence number: the second is current, the first can stand in for it."""
        write_id = uuid4()
        rest = (write_id, self.content_id, NIL, LOG_VERSION, VERSION, _LOG_LENGTH, _LOG_OFFSET)
        return [Header(number, *rest).pack() for number in (1, 2)]


def plan(new: NewLayer) -> Plan:
    """Plan a file. Raises InvalidInput for what VHDX can't hold."""
    block_size = new.block_size or _default_block_size(new)
    if block_size & (block_size - 1) or not BLOCK_SIZE_MINIMUM <= block_size <= BLOCK_SIZE_MAXIMUM:
        raise InvalidInput(f"the block size is {block_size}, VHDX has powers of two from 1 to 256 MiB")
    for found in (new.sector_size, new.physical_sector_size or _PHYSICAL_SECTOR_SIZE):
        if found not in SECTOR_SIZES:
            raise InvalidInput(f"the sector size is {found}, VHDX has 512 and 4096")
    if new.size % new.sector_size or not 0 < new.size <= SIZE_MAXIMUM:
        raise InvalidInput(f"the size is {new.size}, VHDX has multiples of {new.sector_size} above 0 and up to 64 TiB")
    if (new.parent is None) is (new.allocation is Allocation.DIFFERENCING):
        raise InvalidInput(f"a {new.allocation.value} disk {'needs a' if not new.parent else 'can have no'} parent")
    _check_kept(new)
    if new.parent:
        pack_locator(new.parent)
        if not new.disk_id:
            raise InvalidInput("a differencing VHDX disk has its parent's disk id; none was given")
    differencing = new.parent is not None
    return Plan(
        new=new,
        block_size=block_size,
        geometry=Geometry(size=new.size, block_size=block_size, sector_size=new.sector_size, differencing=differencing),
        content_id=_uuid(new.content_id),
        disk_id=_uuid(new.disk_id),
    )


def _check_kept(new: NewLayer) -> None:
    length = sum(len(each.data) for each in new.kept)
    if length > KEPT_MAXIMUM or len(new.kept) > KEPT_ITEMS_MAXIMUM:
        raise InvalidInput(
            f"there are {len(new.kept)} metadata items of {length} bytes to keep, "
            f"there is room for {KEPT_ITEMS_MAXIMUM} of {KEPT_MAXIMUM}"
        )


def _default_block_size(new: NewLayer) -> int:
    if new.parent:
        return _BLOCK_SIZE_DIFFERENCING
    size = _BLOCK_SIZE
    while size > BLOCK_SIZE_MINIMUM and size // 2 >= new.size:
        size //= 2
    return size


def _uuid(text: str) -> UUID:
    try:
        return UUID(text) if text else uuid4()
    except ValueError as error:
        raise InvalidInput(f'"{text}" is no UUID') from error
