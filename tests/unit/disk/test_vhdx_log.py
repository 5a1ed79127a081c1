"""Logs of every shape: the newest complete sequence is replayed from its tail, in memory, and the file stays as it is."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import NewLayer, Progress
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations import flatten
from ireko.disk.vhdx.crc32c import crc32c
from ireko.disk.vhdx.headers import current_header
from ireko.disk.vhdx.log import replay

from .vhdx_log import OTHER_LOG, SECTOR, Entry, Log, Write

MIB = 1 << 20
BAT = 3 * MIB
LENGTH = 6 * MIB
FULL = 6


def sector(number: int) -> bytes:
    return struct.pack("<Q", number + 1) * (SECTOR // 8)


def bat_sector(*megabytes: int) -> bytes:
    """The BAT's first sector, with these blocks in place."""
    return b"".join(struct.pack("<Q", each << 20 | (FULL if each else 0)) for each in megabytes).ljust(SECTOR, b"\0")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """4 MiB in blocks of 1 MiB, of which the first two are there: "A" at 4 MiB in the file, "B" at 5 MiB."""
    path = tmp_path / "disk.vhdx"
    with create_layer(path, NewLayer(4 * MIB, block_size=MIB)) as writer:
        writer.write_data(0, b"A" * MIB)
        writer.write_data(MIB, b"B" * MIB)
        writer.finish()
    assert path.stat().st_size == LENGTH
    return path


def first_bytes(path: Path) -> bytes:
    """The first byte of each block, through the whole reader; the file must not change."""
    before = path.read_bytes()
    with open_layer(path) as layer:
        assert layer.info.dirty
        found = b"".join(layer.read(block * MIB, 1) for block in range(4))
        assert list(layer.check(Progress())) == []
    assert path.read_bytes() == before
    return found


def swap(sequence: int, tail: int, *, last: int = LENGTH) -> Entry:
    """An entry that puts the two blocks the other way round."""
    return Entry(sequence, tail, (Write(BAT, bat_sector(5, 4)),), flushed=LENGTH, last=last)


def keep(sequence: int, tail: int) -> Entry:
    return Entry(sequence, tail, (Write(BAT, bat_sector(4, 5)),), flushed=LENGTH, last=LENGTH)


def drop(sequence: int, tail: int) -> Entry:
    """An entry that takes both blocks away."""
    return Entry(sequence, tail, (Write(BAT, length=SECTOR),), flushed=LENGTH, last=LENGTH)


def test_without_a_log_nothing_is_replayed(disk: Path) -> None:
    with open_layer(disk) as layer:
        assert not layer.info.dirty
        assert layer.read(MIB - 1, 2) == b"AB"


def test_one_entry(disk: Path) -> None:
    log = Log()
    log.put(0, swap(1, 0))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_entries_are_replayed_in_order(disk: Path) -> None:
    log = Log()
    log.put(log.put(0, drop(7, 0)), swap(8, 0))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_zeros_over_an_earlier_sector(disk: Path) -> None:
    log = Log()
    log.put(log.put(0, swap(7, 0)), drop(8, 0))
    log.install(disk)
    assert first_bytes(disk) == b"\0\0\0\0"


def test_what_lies_before_the_tail_is_done_already(disk: Path) -> None:
    """An entry that the head's tail leaves behind must not be replayed: its place may be in use for something else."""
    log = Log()
    harm = Entry(5, 0, (Write(BAT, bat_sector(4, 5)), Write(4 * MIB, sector(1))), flushed=LENGTH, last=LENGTH)
    second = log.put(0, harm)
    log.put(second, swap(6, second))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_around_the_end_of_the_ring(disk: Path) -> None:
    log = Log()
    start = log.length - 2 * SECTOR
    second = log.put(start, drop(20, start))
    third = log.put(second, keep(21, start))
    log.put(third, swap(22, start))
    assert third < start
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_an_entry_that_straddles_the_end(disk: Path) -> None:
    log = Log()
    start = log.length - SECTOR
    log.put(start, swap(3, start))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


@pytest.mark.parametrize("kept", [64, SECTOR, SECTOR + 100, 2 * SECTOR - 4])
def test_a_torn_entry_never_happened(disk: Path, kept: int) -> None:
    log = Log()
    second = log.put(0, swap(1, 0))
    log.put(second, keep(2, 0), torn_after=kept)
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_entries_of_another_log_are_stale(disk: Path) -> None:
    log = Log()
    after = log.put(0, swap(1, 0))
    log.put(after, Entry(2, 0, (Write(BAT, length=SECTOR),), guid=OTHER_LOG, flushed=LENGTH, last=LENGTH))
    log.put(20 * SECTOR, Entry(99, 20 * SECTOR, (Write(BAT, length=SECTOR),), guid=OTHER_LOG))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_an_older_sequence_of_the_same_log_is_passed_over(disk: Path) -> None:
    log = Log()
    log.put(0, drop(4, 0))
    log.put(40 * SECTOR, swap(9, 40 * SECTOR))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_a_newer_entry_whose_tail_is_gone_does_not_count(disk: Path) -> None:
    log = Log()
    log.put(0, swap(4, 0))
    log.put(40 * SECTOR, drop(9, 30 * SECTOR))
    log.install(disk)
    assert first_bytes(disk) == b"BA\0\0"


def test_the_file_is_longer_after_the_replay(disk: Path) -> None:
    """The log knows of a block that the file doesn't reach yet: it is there, and zeros."""
    log = Log()
    grow = Entry(1, 0, (Write(BAT, bat_sector(4, 5, 6)),), flushed=LENGTH, last=7 * MIB)
    log.put(0, grow)
    log.install(disk)
    assert first_bytes(disk) == b"AB\0\0"
    with open_layer(disk) as layer:
        assert [each.kind.value for each in layer.extents()] == ["data", "absent"]


def test_a_file_shorter_than_the_log_saw_is_refused(disk: Path) -> None:
    log = Log()
    log.put(0, Entry(1, 0, (Write(BAT, bat_sector(5, 4)),), flushed=LENGTH + MIB, last=LENGTH + MIB))
    log.install(disk)
    with pytest.raises(DiskDamaged, match=f"the file's length is {LENGTH} bytes"):
        open_layer(disk)


@pytest.mark.parametrize("end", [1 << 50, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - MIB])
def test_a_file_longer_than_any_is_zeros_there_or_our_error(disk: Path, end: int) -> None:
    log = Log()
    places = [max(1, end // MIB - more) for more in (1, 2)]
    log.put(0, Entry(1, 0, (Write(BAT, bat_sector(*places)),), flushed=LENGTH, last=end))
    log.install(disk)
    with open_layer(disk) as layer:
        list(layer.check(Progress()))
        assert layer.read(0, 4 * MIB) == bytes(4 * MIB)
    for suffix in ("raw", "qcow2", "vhdx", "vhd"):
        flatten(disk, disk.with_name(f"flat.{suffix}"))
        with open_layer(disk.with_name(f"flat.{suffix}")) as layer:
            assert layer.read(0, 4 * MIB) == bytes(4 * MIB)


def test_a_log_without_a_valid_sequence_is_refused(disk: Path) -> None:
    Log().install(disk)
    with pytest.raises(DiskDamaged, match="the log at offset 1048576 is without a valid sequence"):
        open_layer(disk)


def test_a_log_that_changes_data_is_heeded(disk: Path) -> None:
    """It must not, but when it does the bytes are those that a replay would leave; the kernel can't copy them from the file."""
    log = Log()
    log.put(
        0, Entry(1, 0, (Write(4 * MIB + SECTOR, sector(7)), Write(5 * MIB, length=SECTOR)), flushed=LENGTH, last=LENGTH)
    )
    log.install(disk)
    with open_layer(disk) as layer:
        assert layer.read(0, 3 * SECTOR) == b"A" * SECTOR + sector(7) + b"A" * SECTOR
        assert layer.read(MIB - 1, SECTOR + 2) == b"A" + bytes(SECTOR) + b"B"
        places = [(each.offset, each.file_offset) for each in layer.extents()][:5]
    assert places == [
        (0, 4 * MIB), (SECTOR, None), (2 * SECTOR, 4 * MIB + 2 * SECTOR), (MIB, None), (MIB + SECTOR, 5 * MIB + SECTOR)
    ]  # fmt: skip


def test_a_huge_log_is_refused(disk: Path) -> None:
    Log().install(disk)
    data = bytearray(disk.read_bytes())
    for offset in (64 << 10, 128 << 10):
        rewrite_log_length(data, offset, 1 << 30)
    disk.write_bytes(data)
    with pytest.raises(DiskUnsupported, match="the log's length is 1073741824"):
        open_layer(disk)


def rewrite_log_length(data: bytearray, offset: int, length: int) -> None:
    header = data[offset : offset + 4096]
    header[68:72] = struct.pack("<I", length)
    header[4:8] = bytes(4)
    header[4:8] = struct.pack("<I", crc32c(header))
    data[offset : offset + 4096] = header


def test_zeros_of_any_length(disk: Path) -> None:
    """A range of zeros is a note, not memory."""
    log = Log()
    far = Write(1 << 40, length=1 << 62)
    log.put(0, Entry(1, 0, (Write(BAT, bat_sector(5, 4)), far), flushed=LENGTH, last=LENGTH))
    log.install(disk)
    with open_layer(disk) as layer:
        assert layer.read(0, 1) == b"B"


writes = st.builds(
    lambda place, number, zeros: Write(place * SECTOR, b"" if zeros else sector(number), zeros * SECTOR),
    st.integers(0, 12),
    st.integers(0, 1000),
    st.integers(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(writes, max_size=6), min_size=1, max_size=8),
    st.integers(0, 255),
    st.integers(0, 7),
    st.integers(0, 1 << 40),
)
def test_any_log_against_plain_writes(
    tmp_path_factory: pytest.TempPathFactory, entries: list[list[Write]], start: int, done: int, first: int
) -> None:
    """The overlay reads as the file would after all writes, one after the other; those before the tail are left out."""
    path = tmp_path_factory.mktemp("log") / "disk.vhdx"
    with create_layer(path, NewLayer(MIB)) as writer:
        writer.finish()
    base = BAT  # a place where writes do no harm
    done = min(done, len(entries) - 1)
    log, place = Log(), start * SECTOR
    places = []
    wanted = bytearray(path.read_bytes()[base : base + 20 * SECTOR])
    for number, each in enumerate(entries):
        places.append(place)
        shifted = tuple(Write(base + one.offset, one.data, one.length) for one in each)
        place = log.put(place, Entry(first + number + 1, places[max(0, min(number, done))], shifted))
        if number >= done:
            apply(wanted, each)
    log.install(path)
    with DiskFile(path) as file:
        replayed = replay(file, current_header(file))
        for offset, length in ((0, 20 * SECTOR), (100, 5000), (SECTOR, SECTOR), (3 * SECTOR - 1, 2 * SECTOR + 2)):
            assert replayed.read_exactly(base + offset, length, "it") == wanted[offset : offset + length]
        changed = list(replayed.changes_in(base, base + 20 * SECTOR))
        touched = {base + place for each in entries[done:] for one in each for place in places_of(one)}
        assert {place for start, end in changed for place in range(start, end, SECTOR)} == touched


def apply(wanted: bytearray, each: list[Write]) -> None:
    for one in each:
        content = one.data or bytes(one.length)
        wanted[one.offset : one.offset + len(content)] = content


def places_of(write: Write) -> range:
    return range(write.offset, write.offset + (SECTOR if write.data else write.length), SECTOR)
