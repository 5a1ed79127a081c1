"""The log of a container, against a plain list of what was written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.drivers.base import Stream
from ireko.engine.loglines import LogLine
from ireko.engine.logs import ContainerLog
from ireko.engine.reading import read_log

_FILES = {Stream.STDOUT: "stdout.log", Stream.STDERR: "stderr.log"}


def grow(folder: Path, stream: Stream, data: bytes) -> None:
    with (folder / _FILES[stream]).open("ab") as file:
        file.write(data)


def lines_of(log: ContainerLog, tail: int | None = None) -> list[LogLine]:
    return [line for lines in log.lines(tail=tail) for line in lines]


def naive_lines(writes: list[tuple[Stream, bytes]]) -> list[tuple[Stream, bytes]]:
    """What the lines are: a line stands where its newline came, what has none stands last."""
    lines: list[tuple[Stream, bytes]] = []
    rest = dict.fromkeys(Stream, b"")
    order: list[Stream] = []
    for stream, data in writes:
        for byte in data:
            if not rest[stream]:
                order = [each for each in order if each is not stream] + [stream]
            rest[stream] += bytes([byte])
            if byte == ord("\n"):
                lines.append((stream, rest[stream]))
                rest[stream] = b""
    return lines + [(stream, rest[stream]) for stream in order if rest[stream]]


writes = st.lists(
    st.tuples(st.sampled_from(Stream), st.text("ab\n", min_size=1, max_size=8).map(str.encode)), max_size=12
)


@settings(deadline=None)
@given(writes, st.none() | st.integers(0, 6))
def test_lines_and_tail(tmp_path_factory, writes: list[tuple[Stream, bytes]], tail: int | None) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = ContainerLog(folder)
    for stream, data in writes:
        grow(folder, stream, data)
        log.catch_up()
    expected = naive_lines(writes)
    if tail is not None:
        expected = expected[len(expected) - min(tail, len(expected)) :]
    assert [(line.stream, line.data) for line in lines_of(log, tail)] == expected
    again = ContainerLog(folder)
    assert [(line.stream, line.data) for line in lines_of(again, tail)] == expected


def test_output_that_came_while_nobody_looked_is_there(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    grow(tmp_path, Stream.STDOUT, b"one\n")
    log.catch_up()
    grow(tmp_path, Stream.STDOUT, b"two\n")
    later = ContainerLog(tmp_path)
    later.catch_up()
    assert [line.data for line in lines_of(later)] == [b"one\n", b"two\n"]


def test_a_torn_index_loses_no_output(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    for word in (b"one\n", b"two\n"):
        grow(tmp_path, Stream.STDOUT, word)
        log.catch_up()
    index = tmp_path / "log.index"
    index.write_bytes(index.read_bytes()[:-5])
    later = ContainerLog(tmp_path)
    later.catch_up()
    grow(tmp_path, Stream.STDERR, b"three\n")
    later.catch_up()
    assert [line.data for line in lines_of(ContainerLog(tmp_path))] == [b"one\n", b"two\n", b"three\n"]


def test_a_line_without_an_end_is_not_held_as_a_whole(tmp_path: Path) -> None:
    """It comes in parts, each of which is known for one."""
    log, line = ContainerLog(tmp_path), b"x" * (3 << 20) + b"\n"
    grow(tmp_path, Stream.STDOUT, b"before\n" + line + b"after\n")
    log.catch_up()
    before, *parts, after = lines_of(log)
    assert (before.data, after.data) == (b"before\n", b"after\n")
    assert b"".join(part.data for part in parts) == line
    assert max(len(part.data) for part in parts) < 1 << 20
    assert [part.goes_on for part in (before, *parts, after)] == [False, False, *([True] * (len(parts) - 1)), False]
    assert [part.data for part in lines_of(log, 2)] == [parts[-1].data, b"after\n"]


@pytest.mark.parametrize("tail", [None, 1 << 20])
@pytest.mark.parametrize("streams", [set(Stream), {Stream.STDERR}])
async def test_others_have_their_turn_while_a_long_log_is_read(
    tmp_path: Path, tail: int | None, streams: set[Stream]
) -> None:
    log, turns = ContainerLog(tmp_path), 0
    grow(tmp_path, Stream.STDOUT, b"a line\n" * (1 << 19))
    log.catch_up()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    future = datetime.now(UTC) + timedelta(days=1)
    lines = read_log(log, follow=False, tail=tail, since=future, until=None, streams=streams)
    assert [line async for line in lines] == []
    waiting.cancel()
    assert turns > 10


async def test_follow_ends_with_the_run(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    grow(tmp_path, Stream.STDOUT, b"before\n")
    log.catch_up()

    async def collect() -> list[bytes]:
        lines = read_log(log, follow=True, tail=None, since=None, until=None, streams=set(Stream))
        return [line.data async for line in lines]

    task = asyncio.create_task(collect())
    await asyncio.sleep(0)
    grow(tmp_path, Stream.STDOUT, b"live\nand a ")
    log.catch_up()
    await asyncio.sleep(0)
    grow(tmp_path, Stream.STDOUT, b"rest")
    log.end_run()
    assert await task == [b"before\n", b"live\n", b"and a rest"]


async def test_only_the_wanted_stream_counts_for_tail(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    for number in range(6):
        grow(tmp_path, Stream.STDERR if number % 2 else Stream.STDOUT, b"%d\n" % number)
        log.catch_up()
    lines = read_log(log, follow=False, tail=2, since=None, until=None, streams={Stream.STDERR})
    assert [line.data async for line in lines] == [b"3\n", b"5\n"]


async def test_a_container_that_is_removed_is_still_followed_to_its_end(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    following = log.follow({}, ended_before=log.runs_ended)
    first = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    grow(tmp_path, Stream.STDOUT, b"out")
    grow(tmp_path, Stream.STDERR, b"err")
    log.end_run()
    for name in _FILES.values():
        (tmp_path / name).unlink()
    log.close()
    piece = await first
    seen = {piece.stream: b"".join(data for _, data in log.read(piece))}
    async for piece in following:
        seen[piece.stream] = b"".join(data for _, data in log.read(piece))
    assert seen == {Stream.STDOUT: b"out", Stream.STDERR: b"err"}
