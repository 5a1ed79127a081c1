"""`logs`: lines out of a container's log, some of them, and those to come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from ireko.drivers.base import Stream
from ireko.engine.loglines import LineSplitter, LogLine
from ireko.engine.logs import ContainerLog


async def read_log(
    log: ContainerLog,
    *,
    follow: bool,
    tail: int | None,
    since: datetime | None,
    until: datetime | None,
    streams: set[Stream],
) -> AsyncIterator[LogLine]:
    """The lines of these streams between two moments, only the last `tail` of the present ones, then those that come."""

    def wanted(line: LogLine) -> bool:
        return (
            line.stream in streams and (since is None or line.time >= since) and (until is None or line.time <= until)
        )

    place, ended_before = log.place(), log.runs_ended
    async for line in _present(log, tail, wanted, all_streams=streams == set(Stream)):
        yield line
    if not follow:
        return
    splitter = LineSplitter()
    async for piece in log.follow(place, ended_before=ended_before):
        for portion in log.read(piece):
            await _others()
            for line in splitter.feed(piece, *portion):
                if until is not None and line.time > until:
                    return
                if wanted(line):
                    yield line
    for line in splitter.rest():
        if wanted(line):
            yield line


async def _present(
    log: ContainerLog, tail: int | None, wanted: Callable[[LogLine], bool], *, all_streams: bool
) -> AsyncIterator[LogLine]:
    last: deque[LogLine] = deque(maxlen=tail)
    # What is filtered by stream must be filtered before it is counted.
    for lines in log.lines(tail=tail if all_streams else None):
        await _others()
        if tail is not None:
            last.extend(filter(wanted, lines))
            continue
        for line in filter(wanted, lines):
            yield line
    for line in last:
        yield line


async def _others() -> None:
    """Let whoever waits have a turn: a log may be long, and nothing of it be wanted."""
    await asyncio.sleep(0)
