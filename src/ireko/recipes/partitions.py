"""A disk with a partition table that firmware of both kinds can boot: the GUID partition table, UEFI specification chapter 5.

https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html
"""

from __future__ import annotations

import errno
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ireko.disk.partition_tables import BOOT_CODE
from ireko.errors import InvalidInput

SECTOR = 512

_MIB = 1 << 20
_COUNT, _ENTRY_LENGTH = 128, 128
_TABLE = _COUNT * _ENTRY_LENGTH // SECTOR  # sectors
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Partition:
    """A partition to be: `content` is the file that it starts with, `size` its length in bytes, a multiple of 1 MiB."""

    name: str
    type: uuid.UUID
    size: int
    content: Path | None = None


def starts(partitions: Sequence[Partition]) -> list[int]:
    """Where the partitions begin, in bytes: one after the other, the first at 1 MiB."""
    places, place = [], _MIB
    for partition in partitions:
        places.append(place)
        place += partition.size
    return places


def room(capacity: int, partitions: Sequence[Partition]) -> int:
    """What a disk of `capacity` bytes has left after these partitions, in whole MiB. Raises InvalidInput."""
    # the last MiB is for the second copy of the table
    left = (capacity // _MIB - 2) * _MIB - sum(partition.size for partition in partitions)
    if left < 0:
        raise InvalidInput(f"a disk of {capacity} bytes is too small for its partitions", hint="raise capacity")
    return left


def write_disk(path: Path, *, capacity: int, partitions: Sequence[Partition], seed: str) -> None:
    """Make the sparse file `path`, a disk of `capacity` bytes; the partitions' ids come from `seed`.

    Raises InvalidInput when they do not fit, OSError.
    """
    room(capacity, partitions)
    with path.open("xb") as disk:
        disk.truncate(capacity // SECTOR * SECTOR)
        _write_tables(disk, capacity // SECTOR, partitions, seed)
        for partition, start in zip(partitions, starts(partitions), strict=True):
            if partition.content is not None:
                _copy(partition, disk, start)


def _write_tables(disk: BinaryIO, sectors: int, partitions: Sequence[Partition], seed: str) -> None:
    entries = b"".join(_entries(partitions, seed)).ljust(_COUNT * _ENTRY_LENGTH, b"\0")
    last = sectors - 1
    for here, other, table in (1, last, 2), (last, 1, last - _TABLE):
        disk.seek(table * SECTOR)
        disk.write(entries)
        disk.seek(here * SECTOR)
        disk.write(_header(here, other, table, last, entries, _id(seed, "disk")))
    disk.seek(0)
    disk.write(_protective(sectors))


def _entries(partitions: Sequence[Partition], seed: str) -> Iterator[bytes]:
    for partition, start in zip(partitions, starts(partitions), strict=True):
        yield _ENTRY.pack(
            partition.type.bytes_le,
            _id(seed, partition.name).bytes_le,
            start // SECTOR,
            (start + partition.size) // SECTOR - 1,
            0,
            partition.name.encode("utf-16-le"),
        )


def _header(here: int, other: int, table: int, last: int, entries: bytes, name: uuid.UUID) -> bytes:
    def pack(checksum: int) -> bytes:
        first = 2 + _TABLE
        usable = (here, other, first, last - first + 1)
        places = (name.bytes_le, table, _COUNT, _ENTRY_LENGTH, zlib.crc32(entries))
        return _HEADER.pack(b"EFI PART", 0x10000, _HEADER.size, checksum, 0, *usable, *places)

    return pack(zlib.crc32(pack(0)))


def _protective(sectors: int) -> bytes:
    """The old kind of table, that tells programs which know no other that the whole disk is taken."""
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return bytes(BOOT_CODE + 6) + entry.ljust(64, b"\0") + b"\x55\xaa"


def _id(seed: str, what: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"partition {what} {seed}")


def _copy(partition: Partition, disk: BinaryIO, start: int) -> None:
    """Copy what is data: holes stay holes."""
    assert partition.content is not None
    with partition.content.open("rb") as source:
        length = source.seek(0, os.SEEK_END)
        if length > partition.size:
            raise InvalidInput(f'"{partition.content.name}" is larger than the partition "{partition.name}"')
        for begin, end in _data(source, length):
            source.seek(begin)
            disk.seek(start + begin)
            _copy_piece(source, disk, end - begin)


def _copy_piece(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length and (piece := source.read(min(_PIECE, length))):
        length -= target.write(piece)


def _data(file: BinaryIO, length: int) -> Iterator[tuple[int, int]]:
    """Where a file has data."""
    end = 0
    while end < length:
        try:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no more of it
                return
            raise
        end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield begin, end
