"""`logs`: lines out of a container's log, some of them, and those to come."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
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
    for line in _present(log, tail, wanted, all_streams=streams == set(Stream)):
        yield line
    if not follow:
        return
    splitter = LineSplitter()
    async for piece in log.follow(place, ended_before=ended_before):
        for portion in log.read(piece):
            for line in splitter.feed(piece, *portion):
                if until is not None and line.time > until:
                    return
                if wanted(line):
                    yield line
    for line in splitter.rest():
        if wanted(line):
            yield line


def _present(
    log: ContainerLog, tail: int | None, wanted: Callable[[LogLine], bool], *, all_streams: bool
) -> Iterable[LogLine]:
    # What is filtered by stream must be filtered before it is counted.
    lines = filter(wanted, log.lines(tail=tail if all_streams else None))
    return lines if tail is None else deque(lines, maxlen=tail)
