"""The partition tables of a disk: the GUID partition table (UEFI specification, chapter 5) and the one of the master boot record.

https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html
Everything read here is a stranger's: what breaks the rules counts as not there, and no table is followed without end.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from ireko.disk.view import View

BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_ROOT = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
"""The root file system of an x86-64 system, as the Discoverable Partitions Specification has it."""

BOOT_CODE = 440
"""Bytes at the start of the disk that belong to a boot loader and not to the table."""
RECORD = 512
"""Bytes of a master boot record, whatever the sector size."""
PROTECTIVE, MBR_EFI_SYSTEM = 0xEE, 0xEF
ENTRIES_MAXIMUM = 256
"""Partitions that are looked at; tables have room for 128 as a rule."""

_SECTOR_SIZES = (512, 4096)
_MARK = b"\x55\xaa"
_MBR_ENTRY = struct.Struct("<B3xB3xII")
_MBR_ENTRIES, _MBR_COUNT = 446, 4
_EXTENDED = {0x05, 0x0F, 0x85}
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_HEADER_CHECKSUM = 16
_ENTRY = struct.Struct("<16s16sQQQ72s")
_ENTRY_LENGTH_MAXIMUM = 4096
_TABLE_MAXIMUM = 1 << 20
_LEGACY_BOOT = 1 << 2


@dataclass(frozen=True)
class Entry:
    """A partition: where it lies, in bytes, its type, and whether it is marked as the one that a BIOS starts.

    The type is a GUID's number in a GUID partition table, else one byte.
    """

    start: int
    length: int
    type: UUID | int
    active: bool


@dataclass(frozen=True)
class Table:
    """A disk's partition table. `scheme` is "gpt", "mbr", or "none" when there is none; then `sector_size` is the disk's own."""

    scheme: str
    sector_size: int
    entries: tuple[Entry, ...] = ()


def read_some(view: View, offset: int, length: int) -> bytes:
    """The bytes at an offset, fewer where the disk ends, and none before it begins."""
    length = max(0, min(length, view.size - offset)) if offset >= 0 else 0
    return view.read(offset, length) if length else b""


def read_table(view: View, own: int) -> Table:
    """The partition table of a disk that has sectors of so many bytes."""
    record = read_some(view, 0, RECORD)
    for sector in sorted(_SECTOR_SIZES, key=lambda size: size != own):
        if (entries := _guid_table(view, sector)) is not None:
            return Table("gpt", sector, entries)
    if (found := _record_table(view, record, own)) is not None:
        return Table("mbr", own, found)
    return Table("none", own)


def has_mark(record: bytes) -> bool:
    """Whether 512 bytes end as what a BIOS starts does."""
    return record[RECORD - 2 : RECORD] == _MARK


def _guid_table(view: View, sector: int) -> tuple[Entry, ...] | None:
    """The table by its header after the record, or by the copy in the last sector."""
    for place in (1, view.size // sector - 1):
        header = read_some(view, place * sector, sector)
        if (entries := _described(view, sector, place, header)) is not None:
            return tuple(_entries(entries, header, sector, view.size))
    return None


def _described(view: View, sector: int, place: int, header: bytes) -> bytes | None:
    """The entries' bytes, when header and entries are as their checksums say."""
    if len(header) < _HEADER.size or not header.startswith(b"EFI PART"):
        return None
    _, _, length, checksum, _, own, *_, table, count, entry_length, entries_checksum = _HEADER.unpack_from(header)
    if not _HEADER.size <= length <= len(header) or own != place:
        return None
    plain = header[:_HEADER_CHECKSUM] + bytes(4) + header[_HEADER_CHECKSUM + 4 : length]
    if zlib.crc32(plain) != checksum:
        return None
    if not _ENTRY.size <= entry_length <= _ENTRY_LENGTH_MAXIMUM or count * entry_length > _TABLE_MAXIMUM:
        return None
    data = read_some(view, table * sector, count * entry_length)
    return data if len(data) == count * entry_length and zlib.crc32(data) == entries_checksum else None


def _entries(data: bytes, header: bytes, sector: int, size: int) -> Iterator[Entry]:
    length = _HEADER.unpack_from(header)[-2]
    found = 0
    for place in range(0, len(data), length):
        kind, _, first, last, attributes, _ = _ENTRY.unpack_from(data, place)
        if not any(kind) or not 0 < first <= last < size // sector:
            continue
        active = bool(attributes & _LEGACY_BOOT)
        yield Entry(first * sector, (last - first + 1) * sector, UUID(bytes_le=kind), active)
        if (found := found + 1) == ENTRIES_MAXIMUM:
            return


def _record_table(view: View, record: bytes, sector: int) -> tuple[Entry, ...] | None:
    """The table in a master boot record; None when what lies there can't be one."""
    slots = list(_slots(record)) if has_mark(record) else []
    used = [slot for slot in slots if slot[1]]
    if not used or any(status not in {0, 0x80} for status, *_ in slots):
        return None
    if any(not 0 < first < view.size // sector or not count for _, _, first, count in used):
        return None
    if {kind for _, kind, _, _ in used} == {PROTECTIVE}:  # of a GUID table that can't be read
        return None
    return tuple(_with_logical(view, used, sector))


def _slots(record: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The four entries of a record, as (status, type, first sector, sectors)."""
    for number in range(_MBR_COUNT):
        yield _MBR_ENTRY.unpack_from(record, _MBR_ENTRIES + number * _MBR_ENTRY.size)


def _with_logical(view: View, used: list[tuple[int, int, int, int]], sector: int) -> Iterator[Entry]:
    for status, kind, first, count in used:
        if kind in _EXTENDED:
            yield from _logical(view, first, sector)
        else:
            yield Entry(first * sector, count * sector, kind, active=status == 0x80)


def _logical(view: View, base: int, sector: int) -> Iterator[Entry]:
    """The partitions in an extended one: a record before each says where it is, and where the next record lies."""
    place, seen = base, set[int]()
    while place not in seen and len(seen) < ENTRIES_MAXIMUM:
        seen.add(place)
        record = read_some(view, place * sector, RECORD)
        if len(record) < RECORD or not has_mark(record):
            return
        (_, kind, first, count), (_, link, following, _), *_ = _slots(record)
        if kind and first and count and (place + first) * sector < view.size:
            yield Entry((place + first) * sector, count * sector, kind, active=False)
        if link not in _EXTENDED or not following:
            return
        place = base + following
