"""Writes VHDX logs as a host would leave them behind: for tests of the replay. Nothing here is shared with the reader's logic."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from ireko.disk.vhdx.crc32c import crc32c

SECTOR = 4096
LOG = UUID("11111111-2222-3333-4444-555555555555")
OTHER_LOG = UUID("99999999-2222-3333-4444-555555555555")


@dataclass(frozen=True)
class Write:
    """A sector, or (without data) a range of zeros."""

    offset: int
    data: bytes = b""
    length: int = 0


@dataclass(frozen=True)
class Entry:
    """A log entry; `tail` and the place it is put at are offsets in the log."""

    sequence: int
    tail: int
    writes: tuple[Write, ...] = ()
    guid: UUID = LOG
    flushed: int = 0
    last: int = 0

    @property
    def length(self) -> int:
        return self._head_length + SECTOR * sum(bool(each.data) for each in self.writes)

    @property
    def _head_length(self) -> int:
        return -(-(64 + 32 * len(self.writes)) // SECTOR) * SECTOR

    def pack(self) -> bytes:
        numbers = (self.length, self.tail, self.sequence, len(self.writes), 0)
        head = struct.pack("<4sIIIQII16sQQ", b"loge", 0, *numbers, self.guid.bytes_le, self.flushed, self.last)
        descriptors, sectors = b"", b""
        for each in self.writes:
            if each.data:
                first, last = each.data[:8], each.data[-4:]
                descriptors += struct.pack("<4s4s8sQQ", b"desc", last, first, each.offset, self.sequence)
                high, low = self.sequence >> 32, self.sequence & 0xFFFFFFFF
                sectors += struct.pack("<4sI4084sI", b"data", high, each.data[8:-4], low)
            else:
                descriptors += struct.pack("<4sIQQQ", b"zero", 0, each.length, each.offset, self.sequence)
        entry = (head + descriptors).ljust(self._head_length, b"\0") + sectors
        return entry[:4] + struct.pack("<I", crc32c(entry)) + entry[8:]


@dataclass
class Log:
    """A ring of 1 MiB."""

    length: int = 1 << 20
    ring: bytearray = field(default_factory=lambda: bytearray(1 << 20))

    def put(self, offset: int, entry: Entry, *, torn_after: int | None = None) -> int:
        """Write an entry at an offset, around the end when need be, or only so many bytes of it; where the next one goes."""
        for number, byte in enumerate(entry.pack()[:torn_after]):
            self.ring[(offset + number) % self.length] = byte
        return (offset + entry.length) % self.length

    def install(self, path: Path, *, guid: UUID = LOG) -> None:
        """Put the ring into a file of ours, and have its headers say that it must be replayed."""
        with path.open("r+b") as file:
            file.seek(1 << 20)
            file.write(self.ring)
            for offset in (64 << 10, 128 << 10):
                file.seek(offset)
                header = bytearray(file.read(4096))
                header[48:64] = guid.bytes_le
                header[4:8] = bytes(4)
                header[4:8] = struct.pack("<I", crc32c(header))
                file.seek(offset)
                file.write(header)
