"""Logs that are cut: the oldest lines go, whole, and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.drivers.base import Stream
from ireko.engine.logindex import LogIndex, Piece, Place
from ireko.engine.loglines import LineSplitter
from ireko.engine.logs import ContainerLog
from ireko.engine.reading import read_log
from ireko.host.files import disk_bytes
from ireko.host.holes import can_release
from ireko.model.container import LogLimit

from .test_logs import grow, lines_of

MIB = 1024 * 1024

writes = st.lists(
    st.tuples(st.sampled_from(Stream), st.lists(st.text("ab", max_size=6).map(lambda text: text.encode() + b"\n"))),
    max_size=20,
)


def shown(log: ContainerLog, stream: Stream) -> list[bytes]:
    return [line.data for line in lines_of(log) if line.stream is stream]


@settings(deadline=None)
@given(writes, st.integers(16, 60))
def test_what_is_left_is_the_end_of_each_stream_in_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[Stream, list[bytes]]], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = ContainerLog(folder, LogLimit(limit))
    written: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
    for stream, lines in writes:
        grow(folder, stream, b"".join(lines))
        written[stream] += lines
        log.catch_up()
        left = {each: shown(log, each) for each in Stream}
        assert all(lines == written[each][len(written[each]) - len(lines) :] for each, lines in left.items())
        size, everything = (sum(map(len, chain(*lines.values()))) for lines in (left, written))
        assert size <= limit
        assert size == everything if everything <= limit else size > limit - limit // 8 - 2 * 8
    again = ContainerLog(folder, LogLimit(limit))
    again.catch_up()
    assert lines_of(again) == lines_of(log)


def test_a_line_longer_than_the_limit_is_shown(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path, LogLimit(100))
    grow(tmp_path, Stream.STDOUT, b"short\n")
    log.catch_up()
    grow(tmp_path, Stream.STDOUT, b"x" * 500 + b"\n")
    log.catch_up()
    assert [line.data for line in lines_of(log)] == [b"x" * 500 + b"\n"]
    grow(tmp_path, Stream.STDOUT, b"next\n")
    log.catch_up()
    assert [line.data for line in lines_of(log)] == [b"next\n"]


def test_what_has_no_lines_is_cut_all_the_same(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path, LogLimit(MIB))
    for _ in range(5):
        grow(tmp_path, Stream.STDOUT, b"x" * MIB)
        log.catch_up()
    assert MIB * 7 // 8 <= sum(len(line.data) for line in lines_of(log)) <= MIB


def test_files_count_too(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path, LogLimit(100, 3))
    grow(tmp_path, Stream.STDOUT, b"x\n" * 150)
    log.catch_up()
    assert len(lines_of(log)) == 150


def fill(folder: Path, log: ContainerLog, *, lines: int) -> None:
    """Numbered lines of 1 KiB, some at a time."""
    for first in range(0, lines, 64):
        grow(folder, Stream.STDOUT, b"".join(b"%1023d\n" % number for number in range(first, first + 64)))
        log.catch_up()


def numbers(log: ContainerLog, tail: int | None = None) -> list[int]:
    return [int(line.data) for line in lines_of(log, tail)]


def test_the_room_comes_back(tmp_path: Path) -> None:
    if not can_release(tmp_path):
        pytest.skip("this file system can't give back room")
    log = ContainerLog(tmp_path, LogLimit(MIB))
    fill(tmp_path, log, lines=8192)
    assert disk_bytes(tmp_path / "stdout.log") <= MIB + 64 * 1024
    assert (tmp_path / "log.index").stat().st_size < 100 * 24
    kept = numbers(log)
    assert kept == list(range(kept[0], 8192))
    assert numbers(log, tail=3) == [8189, 8190, 8191]


def test_what_came_while_nobody_looked_is_cut_then(tmp_path: Path) -> None:
    ContainerLog(tmp_path, LogLimit(MIB))
    grow(tmp_path, Stream.STDOUT, b"".join(b"%1023d\n" % number for number in range(4096)))
    log = ContainerLog(tmp_path, LogLimit(MIB))
    log.catch_up()
    kept = numbers(log)
    assert len(kept) <= 1024
    assert kept == list(range(kept[0], 4096))


@pytest.mark.parametrize("lost", ["all", "the note of the cut"])
def test_a_cut_that_was_not_noted_is_seen(tmp_path: Path, lost: str) -> None:
    if not can_release(tmp_path):
        pytest.skip("this file system can't give back room")
    log = ContainerLog(tmp_path, LogLimit(MIB))
    fill(tmp_path, log, lines=512)
    before = (tmp_path / "log.index").read_bytes()
    fill(tmp_path, log, lines=1024)
    (tmp_path / "log.index").write_bytes(before if lost != "all" else b"")
    again = ContainerLog(tmp_path, LogLimit(MIB))
    again.catch_up()
    assert all(line.data.endswith(b"\n") and line.data.strip().isdigit() for line in lines_of(again))
    assert numbers(again)[-1] == 1023
    assert numbers(again) == numbers(ContainerLog(tmp_path, LogLimit(MIB)))


async def test_who_follows_misses_nothing(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path, LogLimit(64))

    async def collect() -> list[bytes]:
        lines = read_log(log, follow=True, tail=None, since=None, until=None, streams=set(Stream))
        return [line.data async for line in lines]

    following = asyncio.create_task(collect())
    await asyncio.sleep(0)
    written = [b"line %d\n" % number for number in range(1000)]
    for number, line in enumerate(written):
        grow(tmp_path, Stream.STDERR if number % 3 else Stream.STDOUT, line)
        log.catch_up()
        if number % 100 == 0:
            await asyncio.sleep(0)
    assert sum(len(line.data) for line in lines_of(log)) > 64
    log.end_run()
    assert await following == written
    assert sum(len(line.data) for line in lines_of(log)) <= 64


async def test_who_does_not_read_holds_no_more_than_so_much_back(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path, LogLimit(MIB))
    grow(tmp_path, Stream.STDOUT, b"first\n")
    log.catch_up()
    following = log.follow({}, ended_before=log.runs_ended)
    first = await anext(following)
    os.truncate(tmp_path / "stdout.log", 32 * MIB)
    log.catch_up()
    assert b"".join(data for _, data in log.read(first)) == b"first\n"
    os.truncate(tmp_path / "stdout.log", 256 * MIB)
    log.catch_up()
    assert list(log.read(first)) == []
    log.end_run()
    assert sum([piece.end - piece.start async for piece in following]) <= MIB


def test_a_line_with_a_gap_is_not_put_together() -> None:
    splitter = LineSplitter()
    first, second = Piece(1, Stream.STDOUT, 0, 6), Piece(2, Stream.STDOUT, 100, 106)
    assert list(splitter.feed(first, 0, b"begun ")) == []
    assert [line.data for line in splitter.feed(second, 100, b"whole\n")] == [b"whole\n"]


def covered(pieces: Sequence[Piece], stream: Stream) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in pieces if piece.stream is stream]


lengths = st.lists(st.tuples(st.sampled_from(Stream), st.integers(1, 5)), max_size=60)


class TestIndex:
    @settings(deadline=None)
    @given(lengths, st.integers(8, 16))
    def test_it_stays_small_and_misses_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[Stream, int]], most: int
    ) -> None:
        path = tmp_path_factory.mktemp("index") / "log.index"
        index = LogIndex(path, most=most)
        for time, (stream, length) in enumerate(lengths):
            begin = index.ends[stream]
            index.add([Piece(time, stream, begin, begin + length)])
            assert len(index.pieces) <= most
            assert index.pieces[-1] == Piece(time, stream, begin, begin + length)
        for stream in Stream:
            pieces = covered(index.pieces, stream)
            assert all(end == begin for (_, end), (begin, _) in pairwise(pieces))
            assert sum(end - begin for begin, end in pieces) == index.ends[stream]
        assert list(LogIndex(path, most=most).pieces) == list(index.pieces)

    @settings(deadline=None)
    @given(lengths, st.data())
    def test_who_reads_on_gets_each_byte_once(
        self, tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[Stream, int]], data: st.DataObject
    ) -> None:
        index = LogIndex(tmp_path_factory.mktemp("index") / "log.index", most=8)
        reached: dict[Stream, int] = {}
        for time, (stream, length) in enumerate(lengths):
            index.add([Piece(time, stream, index.ends[stream], index.ends[stream] + length)])
            for piece in index.after(reached):
                if data.draw(st.booleans()):
                    break
                assert piece.start == reached.get(piece.stream, 0)
                reached[piece.stream] = piece.end
        for piece in index.after(reached):
            assert piece.start == reached.get(piece.stream, 0)
            reached[piece.stream] = piece.end
        assert all(reached.get(stream, 0) == end for stream, end in index.ends.items())

    def test_a_reader_goes_on_behind_a_cut(self, tmp_path: Path) -> None:
        index = LogIndex(tmp_path / "log.index")
        index.add([Piece(n, Stream.STDOUT, 10 * n, 10 * n + 10) for n in range(5)])
        place: Place = {Stream.STDOUT: 10}
        pieces = index.after(place)
        assert next(pieces) == Piece(1, Stream.STDOUT, 10, 20)
        index.cut({Stream.STDOUT: 35})
        assert list(pieces) == [Piece(3, Stream.STDOUT, 35, 40), Piece(4, Stream.STDOUT, 40, 50)]
        assert (index.size, LogIndex(tmp_path / "log.index").starts) == (15, {Stream.STDOUT: 35, Stream.STDERR: 0})
