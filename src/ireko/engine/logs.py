"""A container's output: the files that the hypervisor writes, and our index that says when each piece came.

The hypervisor appends the main process's output to plain files, whether a daemon runs or not. While one runs, it notes
after each growth "by this time, this stream had this many bytes". What grew while no daemon ran is noted when the next one
looks, with the file's own time. So nothing is copied, nothing is lost, and the order between the two streams is as good as
our eyes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ireko.drivers.base import Stream

_log = logging.getLogger(__name__)
_RECORD = struct.Struct("<qQB7x")  # nanoseconds since 1970, bytes of the stream by then, stream
_NUMBERS = {stream.value for stream in Stream}
_PIECE = 256 * 1024
_LOOK_BACK = 16  # pieces


@dataclass(frozen=True)
class Piece:
    """A stretch of one stream that came at one time."""

    time: int
    stream: Stream
    start: int
    end: int


@dataclass(frozen=True)
class LogLine:
    """A line with its newline, or what there is of one."""

    time: datetime
    stream: Stream
    data: bytes


class ContainerLog:
    """The output of one container, over all its runs."""

    def __init__(self, directory: Path) -> None:
        self._index = directory / "log.index"
        self._outputs: dict[Stream, Path] = {
            Stream.STDOUT: directory / "stdout.log",
            Stream.STDERR: directory / "stderr.log",
        }
        self._pieces: list[Piece] = list(_read_index(self._index))
        self._ends = {piece.stream: piece.end for piece in self._pieces}
        self._grown = asyncio.Event()
        self.runs_ended = 0
        """How many runs have ended while we watched: followers end with the run they follow."""
        self.closed = False
        self._followers = 0
        self._held: dict[Stream, BinaryIO] = {}

    @property
    def length(self) -> int:
        """How many pieces there are: a place in the log."""
        return len(self._pieces)

    def catch_up(self) -> None:
        """Note what has grown since the last look."""
        fresh = [piece for stream, path in self._outputs.items() if (piece := self._growth(stream, path))]
        if not fresh:
            return
        fresh.sort(key=lambda piece: piece.time)
        self._append(b"".join(_RECORD.pack(piece.time, piece.end, piece.stream.value) for piece in fresh))
        self._pieces.extend(fresh)
        self._ends.update((piece.stream, piece.end) for piece in fresh)
        self._hold()
        self._wake()

    def end_run(self) -> None:
        """The machine has ended: note the rest, and let those who follow this run go."""
        self.catch_up()
        self.runs_ended += 1
        self._wake()

    def close(self) -> None:
        """The container is gone."""
        self.closed = True
        self._wake()

    async def follow(self, place: int, *, ended_before: int) -> AsyncIterator[Piece]:
        """Pieces from a place on, until one run more has ended than `ended_before` (a value of `runs_ended`)."""
        with self._followed():
            while True:
                while place < len(self._pieces):
                    yield self._pieces[place]
                    place += 1
                if self.runs_ended > ended_before or self.closed:
                    return
                await self._grown.wait()

    def read(self, piece: Piece) -> Iterator[bytes]:
        """A piece's bytes, in portions; none when the container was removed and nobody followed."""
        place = piece.start
        with contextlib.suppress(FileNotFoundError), self._reader(piece.stream) as file:
            while place < piece.end:
                file.seek(place)  # each time: other followers read the same file
                data = file.read(min(piece.end - place, _PIECE))
                if not data:
                    return
                place += len(data)
                yield data

    def lines(self, *, tail: int | None = None) -> Iterator[LogLine]:
        """What is there now, line by line; with `tail` only the last so many."""
        return self._lines_from(0) if tail is None else iter(self._last_lines(tail))

    def _lines_from(self, place: int) -> Iterator[LogLine]:
        splitter = LineSplitter()
        for piece in self._pieces[place:]:
            for data in self.read(piece):
                yield from splitter.feed(piece, data)
        yield from splitter.rest()

    def _last_lines(self, count: int) -> list[LogLine]:
        """Looks back in growing steps, so that the end of a long log is found without reading it all."""
        place, step = len(self._pieces), _LOOK_BACK
        while True:
            place, step = max(0, place - step), step * 2
            lines = list(self._lines_from(place))
            first = max(0, len(lines) - count)
            # Each stream's first line may have begun before the place: it must not be among those that count.
            seen = {line.stream for line in lines[:first]}
            if place == 0 or (len(lines) >= count and all(line.stream in seen for line in lines[first:])):
                return lines[first:]

    def _append(self, records: bytes) -> None:
        """On a full disk the index goes without: the next record that finds room stands for those before it, too."""
        try:
            descriptor = os.open(self._index, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                written = os.write(descriptor, records)
                if torn := written % _RECORD.size:
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning('"%s" can\'t be written: %s', self._index, error)

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        """Keep the files open, so that a container which is removed as soon as it ends is still read to its end."""
        self._followers += 1
        self._hold()
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                for file in self._held.values():
                    file.close()
                self._held.clear()

    def _hold(self) -> None:
        if self._followers:
            for stream in self._ends.keys() - self._held.keys():
                with contextlib.suppress(FileNotFoundError):
                    self._held[stream] = self._outputs[stream].open("rb")

    def _reader(self, stream: Stream) -> contextlib.AbstractContextManager[BinaryIO]:
        held = self._held.get(stream)
        return self._outputs[stream].open("rb") if held is None else contextlib.nullcontext(held)

    def _growth(self, stream: Stream, path: Path) -> Piece | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        known = self._ends.get(stream, 0)
        if status.st_size <= known:
            return None
        return Piece(status.st_mtime_ns, stream, known, status.st_size)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


@dataclass
class LineSplitter:
    """Cuts pieces into lines, each stream for itself; a line has the time at which it began."""

    _open: dict[Stream, tuple[int, bytes]] = field(default_factory=dict)

    def feed(self, piece: Piece, data: bytes) -> Iterator[LogLine]:
        """The lines that these bytes complete."""
        time, begun = self._open.get(piece.stream, (piece.time, b""))
        *whole, rest = data.split(b"\n")
        if whole:
            self._open.pop(piece.stream, None)
        for part in whole:
            yield _line(time, piece.stream, begun + part + b"\n")
            time, begun = piece.time, b""
        if begun or rest:
            self._open[piece.stream] = time, begun + rest

    def rest(self) -> Iterator[LogLine]:
        """What has no newline yet."""
        for stream, (time, data) in self._open.items():
            yield _line(time, stream, data)
        self._open.clear()


def _line(time: int, stream: Stream, data: bytes) -> LogLine:
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)
    return LogLine(moment, stream, data)


def _read_index(path: Path) -> Iterator[Piece]:
    """The pieces up to the first record that makes no sense; what is behind it is cut off, and noted anew."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    ends = dict.fromkeys(Stream, 0)
    whole = 0
    for whole in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
        time, end, number = _RECORD.unpack_from(data, whole)
        if number not in _NUMBERS or end < ends[Stream(number)]:
            break
        yield Piece(time, Stream(number), ends[Stream(number)], end)
        ends[Stream(number)] = end
    else:
        whole = len(data) - len(data) % _RECORD.size
    if whole < len(data):
        os.truncate(path, whole)
