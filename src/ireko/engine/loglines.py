"""Lines out of the pieces of a log, and where to cut one so that lines stay whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import BinaryIO

from ireko.drivers.base import Stream
from ireko.engine.logindex import LogIndex, Piece

_LONGEST = 64 * 1024
"""Bytes in which the end of a line is looked for, and that are held of one that has no end yet."""


@dataclass(frozen=True)
class LogLine:
    """A line with its newline, or what there is of one. `goes_on`: what it began with is another one, for its length."""

    time: datetime
    stream: Stream
    data: bytes
    goes_on: bool = False


@dataclass(frozen=True)
class _Begun:
    """A line without an end so far, or the part of it that was not told yet."""

    time: int
    data: bytes = b""
    goes_on: bool = False


@dataclass
class LineSplitter:
    """Cuts pieces into lines, each stream for itself; a line has the time at which it began. A long one comes in parts."""

    _open: dict[Stream, _Begun] = field(default_factory=dict)
    _next: dict[Stream, int] = field(default_factory=dict)

    def feed(self, piece: Piece, place: int, data: bytes) -> Iterator[LogLine]:
        """The lines that these bytes of a piece, which begin at `place`, complete.

        What was begun is dropped when the bytes between were cut off meanwhile.
        """
        if self._next.get(piece.stream) != place:
            self._open.pop(piece.stream, None)
        self._next[piece.stream] = place + len(data)
        begun = self._open.get(piece.stream) or _Begun(piece.time)
        *whole, rest = data.split(b"\n")
        if whole:
            self._open.pop(piece.stream, None)
        for part in whole:
            yield _line(piece.stream, begun, part + b"\n")
            begun = _Begun(piece.time)
        if len(begun.data) + len(rest) >= _LONGEST:
            yield _line(piece.stream, begun, rest)
            self._open[piece.stream] = _Begun(begun.time, goes_on=True)
        elif begun.data or rest:
            self._open[piece.stream] = replace(begun, data=begun.data + rest)

    def rest(self) -> Iterator[LogLine]:
        """What has no newline yet."""
        for stream, begun in self._open.items():
            if begun.data:
                yield _line(stream, begun, b"")
        self._open.clear()


def _line(stream: Stream, begun: _Begun, rest: bytes) -> LogLine:
    seconds, nanoseconds = divmod(begun.time, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)
    return LogLine(moment, stream, begun.data + rest, begun.goes_on)


def behind_oldest(index: LogIndex, size: int) -> dict[Stream, int]:
    """Where each stream goes on when so many bytes, the oldest of all streams, are left out."""
    places = dict(index.starts)
    for piece in index.pieces:
        if size <= 0:
            break
        taken = min(size, piece.end - piece.start)
        places[piece.stream] = piece.start + taken
        size -= taken
    return places


def line_near(file: BinaryIO, place: int, last: int) -> int:
    """Where the first line from `place` on begins; when that is behind `last`, where the one begins that `last` is in.

    A line without an end within reach is not kept whole.
    """
    before = max(0, place - 1)
    file.seek(before)
    newline = file.read(_LONGEST).find(b"\n") if place else -1
    begin = 0 if not place else place if newline < 0 else before + newline + 1
    if begin <= last:
        return begin
    first = max(0, last - _LONGEST)
    file.seek(first)
    newline = file.read(last - first).rfind(b"\n")
    return last if newline < 0 and first else first + newline + 1
