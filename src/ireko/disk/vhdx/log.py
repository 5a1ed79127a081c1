"""Replaying a VHDX log in memory (MS-VHDX 2.3).

The file isn't touched: what the log would write becomes an overlay of 4 KiB sectors, through which everything but the headers and
the log itself is read.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.vhdx.structures import (
    DATA_DESCRIPTOR,
    DATA_SECTOR,
    HEADER_SECTION_LENGTH,
    LOG_DESCRIPTOR_LENGTH,
    LOG_SECTOR,
    LOG_VERSION,
    MIB,
    NIL,
    ZERO_DESCRIPTOR,
    Header,
    LogDescriptor,
    LogEntryHeader,
    checksum_is_right,
)

LENGTH_MAXIMUM = 32 * MIB
"""Of the log: it is held in memory. Windows makes logs of 1 MiB."""
_CHECKED_MAXIMUM = 4
"""How many times over a log's bytes are looked at: entries don't overlap, unless the file was made to waste our time."""


class _Entry(NamedTuple):
    """A valid entry, at an offset in the log."""

    offset: int
    header: LogEntryHeader


def _operations(header: LogEntryHeader, data: bytes) -> Iterator[tuple[LogDescriptor, bytes]]:
    """The descriptors of an entry in order, with the sector that a data descriptor writes."""
    sector = header.descriptors_length
    end = LogEntryHeader.LENGTH + header.descriptor_count * LOG_DESCRIPTOR_LENGTH
    for descriptor in LogDescriptor.unpack_all(data[LogEntryHeader.LENGTH : end]):
        content = b""
        if descriptor.signature == DATA_DESCRIPTOR:
            content = descriptor.leading + data[sector + 8 : sector + LOG_SECTOR - 4] + descriptor.trailing
            sector += LOG_SECTOR
        yield descriptor, content


class ReplayedFile:
    """A file as it is after its log was replayed. `length` is in bytes, with what the replay added."""

    def __init__(self, file: DiskFile, length: int, sectors: dict[int, bytes], zeros: list[tuple[int, int]]) -> None:
        self._file = file
        self.path = file.path
        self.length = length
        self._sectors = sectors
        self._offsets = sorted(sectors)
        self._zeros = zeros  # (start, end), disjoint and sorted; the sectors lie over them
        self._present = file.length()

    @property
    def changed(self) -> bool:
        """Whether the log changes anything."""
        return bool(self._sectors or self._zeros)

    def read_into(self, offset: int, view: memoryview) -> int:
        """As DiskFile's, to the end of the replayed file."""
        count = max(0, min(len(view), self.length - offset))
        done = self._file.read_into(offset, view[:count])
        if done < count:
            view[done:count] = bytes(count - done)
        if not self.changed:
            return count
        for start, end in self._within(self._zeros, offset, offset + count):
            view[start - offset : end - offset] = bytes(end - start)
        for start in self._changed_sectors(offset, offset + count):
            first, last = max(start, offset), min(start + LOG_SECTOR, offset + count)
            view[first - offset : last - offset] = self._sectors[start][first - start : last - start]
        return count

    def read_exactly(self, offset: int, length: int, structure: str) -> bytes:
        """All bytes of a structure. Raises DiskDamaged when the file ends before them."""
        if offset + length > self.length:
            found = f"cut off after {max(0, self.length - offset)} bytes"
            raise DiskDamaged(self.path, structure, offset=offset, found=found, wanted=f"{length} bytes long")
        if not self.changed and offset + length <= self._present:
            return self._file.read_exactly(offset, length, structure)
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def fill(self, offset: int, view: memoryview, structure: str) -> None:
        """As `read_exactly`, into a view: nothing is copied."""
        if (count := self.read_into(offset, view)) < len(view):
            found = f"cut off after {count} bytes"
            raise DiskDamaged(self.path, structure, offset=offset, found=found, wanted=f"{len(view)} bytes long")

    def changes_in(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The ranges between two offsets that the log changes, in order, as (start, end)."""
        sectors = ((each, each + LOG_SECTOR) for each in self._changed_sectors(start, end))
        last = start
        for first, stop in heapq.merge(sectors, self._within(self._zeros, start, end)):
            if stop > last:
                yield max(first, last), min(stop, end)
                last = stop

    def _changed_sectors(self, start: int, end: int) -> list[int]:
        low = bisect.bisect_right(self._offsets, start - LOG_SECTOR)
        return self._offsets[low : bisect.bisect_left(self._offsets, end)]

    @staticmethod
    def _within(ranges: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
        index = max(0, bisect.bisect_right(ranges, start, key=itemgetter(0)) - 1)
        while index < len(ranges) and ranges[index][0] < end:
            first, last = max(start, ranges[index][0]), min(end, ranges[index][1])
            if first < last:
                yield first, last
            index += 1


def replay(file: DiskFile, header: Header) -> ReplayedFile:
    """The file with its log replayed, when the header says there is one. Raises DiskDamaged, DiskUnsupported."""
    if header.log_guid == NIL:
        return ReplayedFile(file, file.length(), {}, [])
    _check_place(file, header)
    log = _Log(file, header)
    entries = log.active_sequence()
    head = entries[-1].header
    if file.length() < head.flushed_file_offset:
        raise DiskDamaged(
            file.path,
            "the file's length",
            found=f"{file.length()} bytes",
            wanted=f"the {head.flushed_file_offset} bytes that its log saw on the disk",
        )
    return _apply(file, log, entries)


def _check_place(file: DiskFile, header: Header) -> None:
    if header.log_version != LOG_VERSION:
        raise DiskUnsupported(file.path, "the log's version", found=header.log_version, wanted=LOG_VERSION)
    if header.log_offset % MIB or header.log_offset < HEADER_SECTION_LENGTH:
        wanted = "a multiple of 1 MiB behind the header section"
        raise DiskDamaged(file.path, "the log's offset", found=header.log_offset, wanted=wanted)
    if header.log_length % MIB or not header.log_length:
        raise DiskDamaged(file.path, "the log's length", found=header.log_length, wanted="a multiple of 1 MiB above 0")
    if header.log_length > LENGTH_MAXIMUM:
        raise DiskUnsupported(
            file.path, "the log's length", found=header.log_length, wanted=f"{LENGTH_MAXIMUM} or less"
        )


class _Log:
    """Finds the active sequence in the ring."""

    def __init__(self, file: DiskFile, header: Header) -> None:
        self._file = file
        self._header = header
        self._length = header.log_length
        self._ring = file.read_exactly(header.log_offset, header.log_length, "the log")
        self._budget = _CHECKED_MAXIMUM * header.log_length

    def active_sequence(self) -> list[_Entry]:
        """The newest valid sequence, from the tail that its head names. Raises DiskDamaged when there is none."""
        valid = {offset: entry for offset in range(0, self._length, LOG_SECTOR) if (entry := self._entry(offset))}
        best: list[_Entry] = []
        for run in self._runs(valid):
            sequence = _from_tail(run)
            if sequence and (not best or _number(sequence[-1]) > _number(best[-1])):
                best = sequence
        if not best:
            found = f"without a valid sequence of entries for {self._header.log_guid}"
            raise DiskDamaged(
                self._file.path, "the log", offset=self._header.log_offset, found=found, wanted="replayable"
            )
        return best

    def _runs(self, valid: dict[int, _Entry]) -> Iterator[list[_Entry]]:
        """The longest runs of entries that were written one after the other."""
        following = {offset: after for offset, entry in valid.items() if (after := self._after(entry, valid))}
        for offset in valid.keys() - {each.offset for each in following.values()}:
            run = [valid[offset]]
            while after := following.get(run[-1].offset):
                run.append(after)
            yield run

    def _after(self, entry: _Entry, valid: dict[int, _Entry]) -> _Entry | None:
        after = valid.get((entry.offset + entry.header.entry_length) % self._length)
        return after if after and _number(after) == _number(entry) + 1 else None

    def _entry(self, offset: int) -> _Entry | None:
        """The entry at an offset, if there is a valid one."""
        if not self._ring.startswith(LogEntryHeader.SIGNATURE, offset):
            return None
        header = LogEntryHeader.unpack(self._ring[offset : offset + LogEntryHeader.LENGTH])
        if not self._plausible(header):
            return None
        data = self.data(_Entry(offset, header))
        if not checksum_is_right(data) or not _complete(header, data):
            return None
        return _Entry(offset, header)

    def _plausible(self, header: LogEntryHeader) -> bool:
        """Whether the header's fields may stand; what is cheap to see comes before the checksum."""
        if header.log_guid != self._header.log_guid or header.sequence_number == 0:
            return False
        if header.entry_length % LOG_SECTOR or not 0 < header.entry_length <= self._length:
            return False
        if header.tail % LOG_SECTOR or header.tail >= self._length:
            return False
        self._budget -= header.entry_length
        if self._budget < 0:
            raise DiskDamaged(
                self._file.path,
                "the log",
                offset=self._header.log_offset,
                found="full of entries that overlap",
                wanted="one ring of entries",
            )
        return header.descriptors_length <= header.entry_length

    def data(self, entry: _Entry) -> bytes:
        """All bytes of an entry, which may go around the ring's end."""
        length = entry.header.entry_length
        data = self._ring[entry.offset : entry.offset + length]
        return data + self._ring[: length - len(data)]


def _number(entry: _Entry) -> int:
    return entry.header.sequence_number


def _complete(header: LogEntryHeader, data: bytes) -> bool:
    """Whether descriptors and data sectors belong to the entry and may stand."""
    end = LogEntryHeader.LENGTH + header.descriptor_count * LOG_DESCRIPTOR_LENGTH
    sector = header.descriptors_length
    high, low = (header.sequence_number >> 32).to_bytes(4, "little"), header.sequence_number.to_bytes(8, "little")[:4]
    for each in LogDescriptor.unpack_all(data[LogEntryHeader.LENGTH : end]):
        if each.sequence_number != header.sequence_number or (each.file_offset | each.length) % LOG_SECTOR:
            return False
        if each.signature == DATA_DESCRIPTOR:
            if not data.startswith(DATA_SECTOR + high, sector) or not data.startswith(low, sector + LOG_SECTOR - 4):
                return False
            sector += LOG_SECTOR
        elif each.signature != ZERO_DESCRIPTOR:
            return False
    return sector == len(data)


def _from_tail(run: list[_Entry]) -> list[_Entry]:
    """The part of a run that its head says is still to be replayed; nothing when the tail isn't in it."""
    tail = run[-1].header.tail
    starts = [index for index, entry in enumerate(run) if entry.offset == tail]
    return run[starts[-1] :] if starts else []


def _apply(file: DiskFile, log: _Log, entries: list[_Entry]) -> ReplayedFile:
    """Turn operations into an overlay: of several on one place the last counts."""
    written: dict[int, tuple[int, bytes]] = {}
    zeroed: list[tuple[int, int, int]] = []
    length = max(file.length(), entries[-1].header.last_file_offset)
    order = 0
    for entry in entries:
        for descriptor, content in _operations(entry.header, log.data(entry)):
            order += 1
            end = descriptor.file_offset + (len(content) or descriptor.length)
            length = max(length, end)
            if content:
                written[descriptor.file_offset] = order, content
            else:
                zeroed.append((descriptor.file_offset, end, order))
    zeroed.sort()
    sectors = {offset: written[offset][1] for offset in _uncovered(written, zeroed)}
    return ReplayedFile(file, length, sectors, _joined(zeroed))


def _uncovered(written: dict[int, tuple[int, bytes]], zeroed: list[tuple[int, int, int]]) -> Iterator[int]:
    """The sectors over which no zeros were written later; walks over both in the order of the file."""
    newest: list[tuple[int, int]] = []  # (-order, end) of the ranges begun so far
    index = 0
    for offset in sorted(written):
        while index < len(zeroed) and zeroed[index][0] <= offset:
            heapq.heappush(newest, (-zeroed[index][2], zeroed[index][1]))
            index += 1
        while newest and newest[0][1] <= offset:
            heapq.heappop(newest)
        if not newest or -newest[0][0] < written[offset][0]:
            yield offset


def _joined(ranges: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Sorted ranges without overlaps."""
    result: list[tuple[int, int]] = []
    for start, end, _ in ranges:
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        elif start < end:
            result.append((start, end))
    return result
