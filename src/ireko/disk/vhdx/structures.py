"""The structures of a VHDX file, by the specification's names (MS-VHDX).

https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477; all numbers are
little-endian, GUIDs are mixed. Here bytes become fields and fields bytes; what may stand in them is checked by those who read.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from ireko.disk.vhdx.crc32c import crc32c

KIB, MIB = 1 << 10, 1 << 20
NIL = UUID(int=0)


@lru_cache(maxsize=256)
def guid(data: bytes) -> UUID:
    """A GUID from its 16 bytes; most that occur are the same in every file."""
    return UUID(bytes_le=data)


# 2.2.1: where things are in the header section
SIGNATURE = b"vhdxfile"
CREATOR_LENGTH = 512
HEADER_OFFSETS = (64 * KIB, 128 * KIB)
HEADER_LENGTH = 4 * KIB
REGION_TABLE_OFFSETS = (192 * KIB, 256 * KIB)
REGION_TABLE_LENGTH = 64 * KIB
HEADER_SECTION_LENGTH = MIB
ALIGNMENT = MIB
"""Regions, the log and blocks lie at multiples of this."""

VERSION, LOG_VERSION = 1, 0
REGIONS_MAXIMUM = ITEMS_MAXIMUM = 2047

KEPT_MAXIMUM, KEPT_ITEMS_MAXIMUM = 1 << 19, ITEMS_MAXIMUM - 7
"""Bytes, and number, of metadata items that mean nothing here: there is room for them beside those of our own."""

SIZE_MAXIMUM = 64 << 40
BLOCK_SIZE_MINIMUM, BLOCK_SIZE_MAXIMUM = MIB, 256 * MIB
SECTOR_SIZES = (512, 4096)
SECTORS_PER_BITMAP = 1 << 23
BITMAP_LENGTH = MIB

BAT_REGION = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA_REGION = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")

FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
VIRTUAL_DISK_ID = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR_SIZE = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR_SIZE = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
# not in the published text, but Microsoft's own code knows them
GEOMETRY = UUID("da02d7bc-3d3a-423c-ac88-2a36ab21479b")
INCOMPLETE_FILE = UUID("71cc85f0-1b69-4e28-9558-c3bf83ae75d3")
LABEL_STORAGE = UUID("10e1ae8a-4b7e-4169-a40f-cd70de928393")

LOCATOR_TYPE = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")

# 2.6.2.1: the bits of the file parameters
LEAVE_BLOCKS_ALLOCATED, HAS_PARENT = 1, 2

_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_REGION_TABLE = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_METADATA_TABLE = struct.Struct("<8sHH20x")
_METADATA_ENTRY = struct.Struct("<16sIIIxxxx")
_LOG_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_CHECKSUM = slice(4, 8)


class PayloadState(enum.IntEnum):
    """2.5.1.1: the states of a payload block. 4 and 5 are reserved."""

    NOT_PRESENT = 0
    UNDEFINED = 1
    ZERO = 2
    UNMAPPED = 3
    FULLY_PRESENT = 6
    PARTIALLY_PRESENT = 7


BITMAP_NOT_PRESENT, BITMAP_PRESENT = 0, 6
STATE_MASK = 7
RESERVED_MASK = MIB - 1 - STATE_MASK
OFFSET_MASK = ~(MIB - 1)


def checksum_is_right(data: bytes) -> bool:
    """Whether the checksum at byte 4 is that of the data with the field zeroed."""
    return int.from_bytes(data[_CHECKSUM], "little") == crc32c(data, skip=_CHECKSUM)


def with_checksum(data: bytes) -> bytes:
    """The data with its checksum at byte 4, which is zero so far."""
    return data[:4] + crc32c(data).to_bytes(4, "little") + data[8:]


@dataclass(frozen=True)
class Header:
    """2.2.2; the log is replayed unless `log_guid` is nil."""

    sequence_number: int
    file_write_guid: UUID
    data_write_guid: UUID
    log_guid: UUID
    log_version: int
    version: int
    log_length: int
    log_offset: int

    SIGNATURE = b"head"
    CLAIM_LENGTH = 16

    def pack(self) -> bytes:
        """The header's 4 KiB, with its checksum."""
        guids = (self.file_write_guid.bytes_le, self.data_write_guid.bytes_le, self.log_guid.bytes_le)
        rest = (self.log_version, self.version, self.log_length, self.log_offset)
        fields = _HEADER.pack(self.SIGNATURE, 0, self.sequence_number, *guids, *rest)
        return with_checksum(fields.ljust(HEADER_LENGTH, b"\0"))

    @staticmethod
    def claimed_sequence_number(data: bytes) -> int:
        """The sequence number in a header's first bytes, which need not be a header's."""
        return int.from_bytes(data[8:16], "little")

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """The fields of a header whose signature and checksum have been looked at."""
        _, _, sequence, *guids, log_version, version, length, offset = _HEADER.unpack_from(data)
        write, content, log = (guid(each) for each in guids)
        return cls(sequence, write, content, log, log_version, version, length, offset)


@dataclass(frozen=True)
class Region:
    """2.2.3.2."""

    guid: UUID
    file_offset: int
    length: int
    required: bool

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.file_offset + self.length


class RegionTable:
    """2.2.3."""

    SIGNATURE = b"regi"

    @classmethod
    def pack(cls, regions: list[Region]) -> bytes:
        """The table's 64 KiB, with its checksum."""
        head = _REGION_TABLE.pack(cls.SIGNATURE, 0, len(regions), 0)
        rest = (_REGION.pack(each.guid.bytes_le, each.file_offset, each.length, each.required) for each in regions)
        return with_checksum((head + b"".join(rest)).ljust(REGION_TABLE_LENGTH, b"\0"))

    @staticmethod
    def count(data: bytes) -> int:
        """How many regions the table says it has."""
        count: int = _REGION_TABLE.unpack_from(data)[2]
        return count

    @classmethod
    def unpack(cls, data: bytes) -> list[Region]:
        """The regions of a table whose signature, checksum and count have been looked at."""
        end = _REGION_TABLE.size + cls.count(data) * _REGION.size
        found = _REGION.iter_unpack(data[_REGION_TABLE.size : end])
        return [
            Region(UUID(bytes_le=guid), offset, length, bool(required & 1)) for guid, offset, length, required in found
        ]


class MetadataEntry(NamedTuple):
    """2.6.1.2; `offset` is relative to the metadata region."""

    item_id: UUID
    offset: int
    length: int
    is_user: bool = False
    is_virtual_disk: bool = False
    is_required: bool = True

    def pack(self) -> bytes:
        """The entry's 32 bytes."""
        flags = self.is_user | self.is_virtual_disk << 1 | self.is_required << 2
        return _METADATA_ENTRY.pack(self.item_id.bytes_le, self.offset, self.length, flags)


class MetadataTable:
    """2.6.1.1."""

    SIGNATURE = b"metadata"
    LENGTH = 64 * KIB
    HEAD_LENGTH = ENTRY_LENGTH = 32

    @classmethod
    def pack(cls, entries: list[MetadataEntry]) -> bytes:
        """The table's 64 KiB."""
        head = _METADATA_TABLE.pack(cls.SIGNATURE, 0, len(entries))
        return (head + b"".join(each.pack() for each in entries)).ljust(cls.LENGTH, b"\0")

    @staticmethod
    def count(data: bytes) -> int:
        """How many items the table says it has."""
        count: int = _METADATA_TABLE.unpack_from(data)[2]
        return count

    @classmethod
    def unpack(cls, data: bytes) -> list[MetadataEntry]:
        """The entries of a table whose signature and count have been looked at."""
        end = _METADATA_TABLE.size + cls.count(data) * _METADATA_ENTRY.size
        return [
            MetadataEntry(guid(item), offset, length, bool(flags & 1), bool(flags & 2), bool(flags & 4))
            for item, offset, length, flags in _METADATA_ENTRY.iter_unpack(data[_METADATA_TABLE.size : end])
        ]


LOG_SECTOR = 4 * KIB
LOG_DESCRIPTOR_LENGTH = 32


@dataclass(frozen=True)
class LogEntryHeader:
    """2.3.1.1; `tail` is relative to the log."""

    entry_length: int
    tail: int
    sequence_number: int
    descriptor_count: int
    log_guid: UUID
    flushed_file_offset: int
    last_file_offset: int

    SIGNATURE = b"loge"
    LENGTH = _LOG_ENTRY.size

    def pack(self) -> bytes:
        """The header's 64 bytes, without the checksum, which is over the whole entry."""
        numbers = (self.entry_length, self.tail, self.sequence_number, self.descriptor_count, 0)
        offsets = (self.flushed_file_offset, self.last_file_offset)
        return _LOG_ENTRY.pack(self.SIGNATURE, 0, *numbers, self.log_guid.bytes_le, *offsets)

    @classmethod
    def unpack(cls, data: bytes) -> LogEntryHeader:
        """The fields of what has the signature."""
        _, _, length, tail, sequence, count, _, log, flushed, last = _LOG_ENTRY.unpack_from(data)
        return cls(length, tail, sequence, count, guid(log), flushed, last)

    @property
    def descriptors_length(self) -> int:
        """Bytes of the header and the descriptors, which fill whole sectors."""
        return -(-(self.LENGTH + self.descriptor_count * LOG_DESCRIPTOR_LENGTH) // LOG_SECTOR) * LOG_SECTOR


DATA_DESCRIPTOR, ZERO_DESCRIPTOR, DATA_SECTOR = b"desc", b"zero", b"data"


@dataclass(frozen=True)
class LogDescriptor:
    """2.3.1.2 and 2.3.1.3: a sector to write, or (`length` above 0) a range to fill with zeros."""

    signature: bytes
    trailing: bytes
    leading: bytes
    length: int
    file_offset: int
    sequence_number: int

    _LAYOUT = struct.Struct("<4s4s8sQQ")

    @classmethod
    def unpack_all(cls, data: bytes) -> Iterator[LogDescriptor]:
        """The descriptors in some bytes."""
        for signature, trailing, leading, offset, sequence in cls._LAYOUT.iter_unpack(data):
            length = int.from_bytes(leading, "little") if signature == ZERO_DESCRIPTOR else 0
            yield cls(signature, trailing, leading, length, offset, sequence)

    def pack(self) -> bytes:
        """The descriptor's 32 bytes."""
        leading = self.length.to_bytes(8, "little") if self.signature == ZERO_DESCRIPTOR else self.leading
        return self._LAYOUT.pack(self.signature, self.trailing, leading, self.file_offset, self.sequence_number)
