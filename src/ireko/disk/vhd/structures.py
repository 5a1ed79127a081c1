"""The structures of a VHD file, by the specification's names (Virtual Hard Disk Image Format Specification 1.0).

https://learn.microsoft.com/en-us/windows/win32/vstor/about-vhd leads to it; all numbers are big-endian.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import astuple, dataclass
from typing import NamedTuple
from uuid import UUID

NIL = UUID(int=0)

SECTOR = 512
VERSION = 0x0001_0000
FEATURES = 2
"""The bit that is always set."""
NO_OFFSET = (1 << 64) - 1
NOT_ALLOCATED = (1 << 32) - 1
EPOCH = 946684800
"""Time stamps count seconds from here: 2000-01-01, as seconds since 1970."""
SIZE_MAXIMUM = 2040 << 30
BLOCK_SIZE_MINIMUM, BLOCK_SIZE_MAXIMUM = 4096, 256 << 20
BLOCKS_MAXIMUM = 1 << 22
"""So many blocks of 512 KiB, the smallest that others make, has the largest disk."""
LOCATORS = 8
NAME_LENGTH = 512
"""Bytes of the header that are for the parent's name."""

RELATIVE_LOCATOR, ABSOLUTE_LOCATOR = b"W2ru", b"W2ku"

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_FOOTER_CHECKSUM = 64
_HEADER = struct.Struct(">8sQQIIII16sII512s")
_HEADER_CHECKSUM = 36
_LOCATOR = struct.Struct(">4sIIIQ")


class DiskType(enum.IntEnum):
    """The kinds of disks; the other numbers are reserved."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


def checksum(data: bytes, place: int) -> int:
    """The ones' complement of the sum of all bytes but the four of the checksum itself."""
    return ~(sum(data) - sum(data[place : place + 4])) & 0xFFFFFFFF


def _checksum_is_right(data: bytes, place: int) -> bool:
    return int.from_bytes(data[place : place + 4], "big") == checksum(data, place)


def _with_checksum(data: bytes, place: int) -> bytes:
    return data[:place] + checksum(data, place).to_bytes(4, "big") + data[place + 4 :]


@dataclass(frozen=True)
class Footer:
    """The hard disk footer, in the order of the file, without cookie and checksum."""

    features: int
    version: int
    data_offset: int
    time_stamp: int
    creator_application: bytes
    creator_version: int
    creator_host: bytes
    original_size: int
    current_size: int
    cylinders: int
    heads: int
    sectors_per_track: int
    disk_type: int
    unique_id: UUID
    saved_state: int = 0

    COOKIE = b"conectix"
    LENGTH = 512

    def pack(self) -> bytes:
        """The footer's 512 bytes, with its checksum."""
        *fields, _, saved = astuple(self)
        data = _FOOTER.pack(self.COOKIE, *fields, 0, self.unique_id.bytes, saved)
        return _with_checksum(data.ljust(self.LENGTH, b"\0"), _FOOTER_CHECKSUM)

    @classmethod
    def unpack(cls, data: bytes) -> Footer:
        """Read a footer. Raises ValueError with what was found."""
        if not data.startswith(cls.COOKIE):
            raise ValueError(f"without a cookie ({data[:8]!r})")
        if len(data) < cls.LENGTH:
            raise ValueError(f"cut off after {len(data)} bytes")
        if not _checksum_is_right(data, _FOOTER_CHECKSUM):
            raise ValueError("at odds with its checksum")
        _, *fields = _FOOTER.unpack_from(data)
        return cls(*(*fields[:13], UUID(bytes=fields[14]), fields[15]))


class Locator(NamedTuple):
    """Where a parent locator's text lies in the file: its platform code, `length` bytes at `offset`, with room for `space`."""

    code: bytes
    length: int
    offset: int
    space: int


@dataclass(frozen=True)
class DynamicHeader:
    """The dynamic disk header, without cookie and checksum."""

    table_offset: int
    header_version: int
    max_table_entries: int
    block_size: int
    parent_id: UUID = NIL
    parent_time_stamp: int = 0
    parent_name: str = ""
    locators: tuple[Locator, ...] = ()

    COOKIE = b"cxsparse"
    LENGTH = 1024

    def pack(self) -> bytes:
        """The header's 1024 bytes, with its checksum."""
        numbers = (NO_OFFSET, self.table_offset, self.header_version, self.max_table_entries, self.block_size, 0)
        name = self.parent_name.encode("utf-16-be")
        data = _HEADER.pack(self.COOKIE, *numbers, self.parent_id.bytes, self.parent_time_stamp, 0, name)
        data += b"".join(_LOCATOR.pack(each.code, each.space, each.length, 0, each.offset) for each in self.locators)
        return _with_checksum(data.ljust(self.LENGTH, b"\0"), _HEADER_CHECKSUM)

    @classmethod
    def unpack(cls, data: bytes) -> DynamicHeader:
        """Read a header. Raises ValueError with what was found."""
        if not data.startswith(cls.COOKIE):
            raise ValueError(f"without a cookie ({data[:8]!r})")
        if not _checksum_is_right(data, _HEADER_CHECKSUM):
            raise ValueError("at odds with its checksum")
        _, _, table, version, entries, block_size, _, parent, time_stamp, _, name = _HEADER.unpack_from(data)
        places = _LOCATOR.iter_unpack(data[_HEADER.size : _HEADER.size + LOCATORS * _LOCATOR.size])
        return cls(
            table_offset=table,
            header_version=version,
            max_table_entries=entries,
            block_size=block_size,
            parent_id=UUID(bytes=parent),
            parent_time_stamp=time_stamp,
            parent_name=name.decode("utf-16-be", errors="replace").partition("\0")[0],
            locators=tuple(
                Locator(code, length, offset, space) for code, space, length, _, offset in places if code.strip(b"\0")
            ),
        )


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track for a size, by the specification's appendix."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    tracks = sectors // 17
    heads = max(4, -(-tracks // 1024))
    if tracks < heads * 1024 and heads <= 16:
        return tracks // heads, heads, 17
    tracks = sectors // 31
    if tracks < 16 * 1024:
        return tracks // 16, 16, 31
    return sectors // 63 // 16, 16, 63


def bitmap_length(block_size: int) -> int:
    """Bytes of the sector bitmap before each block: whole sectors."""
    return -(-block_size // SECTOR // 8 // SECTOR) * SECTOR
