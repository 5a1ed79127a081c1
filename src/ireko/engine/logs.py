"""A container's output: the files that the hypervisor writes, and our index that says when each piece came.

The hypervisor appends the main process's output to plain files, whether a daemon runs or not. While one runs, it notes
after each growth "by this time, this stream had this many bytes". What grew while no daemon ran is noted when the next one
looks, with the file's own time. So nothing is copied, nothing is lost, and the order between the two streams is as good as
our eyes.

Above a limit the oldest lines go: the room that they took in the files is given back, while the bytes behind them keep
their places. The hypervisor goes on appending and need not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ireko.drivers.base import Stream
from ireko.engine.logindex import LogIndex, Piece, Place
from ireko.engine.loglines import LineSplitter, LogLine, behind_oldest, line_near
from ireko.errors import IrekoError
from ireko.host import holes
from ireko.model.container import LogLimit

_log = logging.getLogger(__name__)
_LIMIT = LogLimit()
_PIECE = 256 * 1024
_LOOK_BACK = 16  # pieces
_SHARE = 8  # of the limit, one part goes at a time: a cut takes more than a note
_PATIENCE = 64 * 1024 * 1024
"""Bytes above the limit that are kept for those who follow and have not read them yet."""


class ContainerLog:
    """The output of one container, over all its runs: the last of it, below its limit."""

    def __init__(self, directory: Path, limit: LogLimit = _LIMIT) -> None:
        self._limit = limit.size
        self._outputs: dict[Stream, Path] = {
            Stream.STDOUT: directory / "stdout.log",
            Stream.STDERR: directory / "stderr.log",
        }
        self._index = LogIndex(directory / "log.index")
        self._pass_over_holes()
        self._grown = asyncio.Event()
        self.runs_ended = 0
        """How many runs have ended while we watched: followers end with the run they follow."""
        self.closed = False
        self._followers: list[Place] = []
        self._held: dict[Stream, BinaryIO] = {}
        self._told = False

    @property
    def length(self) -> int:
        """How many pieces are left."""
        return len(self._index.pieces)

    def place(self) -> Place:
        """The end, as it is now."""
        return dict(self._index.ends)

    def catch_up(self) -> None:
        """Note what has grown since the last look; what is too much goes."""
        fresh = [piece for stream, path in self._outputs.items() if (piece := self._growth(stream, path))]
        if fresh:
            self._index.add(sorted(fresh, key=lambda piece: piece.time))
            self._hold()
            self._wake()
        self._trim()

    def end_run(self) -> None:
        """The machine has ended: note the rest, and let those who follow this run go."""
        self.catch_up()
        self.runs_ended += 1
        self._wake()

    def close(self) -> None:
        """The container is gone."""
        self.closed = True
        self._wake()

    async def follow(self, place: Place, *, ended_before: int) -> AsyncIterator[Piece]:
        """Pieces from a place on, until one run more has ended than `ended_before` (a value of `runs_ended`).

        Who is so far behind that it is too much to keep misses some.
        """
        reached = dict(place)
        with self._followed(reached):
            while True:
                for piece in self._index.after(reached):
                    yield piece
                    reached[piece.stream] = piece.end
                if self.runs_ended > ended_before or self.closed:
                    return
                await self._grown.wait()

    def read(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        """A piece's bytes in portions, each with the place where it begins.

        None when the container was removed and nobody followed, and none of what was cut off meanwhile.
        """
        place = piece.start
        with contextlib.suppress(FileNotFoundError):
            while (place := max(place, self._index.starts[piece.stream])) < piece.end:
                with self._reader(
                    piece.stream
                ) as file:  # each time: what is held is closed when the last follower goes
                    file.seek(place)
                    data = file.read(min(piece.end - place, _PIECE))
                if not data:
                    return
                yield place, data
                place += len(data)

    def lines(self, *, tail: int | None = None) -> Iterator[Sequence[LogLine]]:
        """What is there now, line by line; with `tail` only the last so many.

        They come some at a time, or none, so that a reader of a long log can let others have their turn in between.
        """
        pieces = tuple(self._index.pieces)
        return self._lines_of(pieces) if tail is None else self._last_lines(pieces, tail)

    def _lines_of(self, pieces: Sequence[Piece]) -> Iterator[Sequence[LogLine]]:
        splitter = LineSplitter()
        for piece in pieces:
            for place, data in self.read(piece):
                yield tuple(splitter.feed(piece, place, data))
        yield tuple(splitter.rest())

    def _last_lines(self, pieces: Sequence[Piece], count: int) -> Iterator[Sequence[LogLine]]:
        """Looks back in growing steps, so that the end of a long log is found without reading it all."""
        place, step = len(pieces), _LOOK_BACK
        while True:
            place, step = max(0, place - step), step * 2
            last: deque[LogLine] = deque(maxlen=count)
            # Each stream's first line may have begun before the place: it must not be among those that count.
            seen: set[Stream] = set()
            for lines in self._lines_of(pieces[place:]):
                for line in lines:
                    if len(last) == count:
                        seen.add((last[0] if last else line).stream)
                    last.append(line)
                yield ()
            if place == 0 or (len(last) == count and all(line.stream in seen for line in last)):
                yield last
                return

    def _trim(self) -> None:
        """Let the oldest lines go when there is too much."""
        over = self._index.size - self._limit
        if over <= 0 or self.closed:
            return
        kept_for = self._followers if over <= _PATIENCE else []
        wanted = behind_oldest(self._index, over + self._limit // _SHARE)
        self._cut({stream: self._line_at(stream, place, kept_for) for stream, place in wanted.items()})

    def _line_at(self, stream: Stream, place: int, kept_for: Sequence[Place]) -> int:
        """Where to cut a stream, near a place: before a line, and before what has yet to be read. The last line of all stays."""
        begin, end = self._index.starts[stream], self._index.ends[stream]
        newest = self._index.pieces[-1].stream is stream
        last = min([end - newest, *(reached.get(stream, 0) for reached in kept_for)])
        if min(place, last) <= begin:
            return begin
        try:
            with self._reader(stream) as file:
                return line_near(file, place, last)
        except FileNotFoundError:
            return begin

    def _cut(self, starts: Place) -> None:
        forward = {stream: start for stream, start in starts.items() if start > self._index.starts[stream]}
        if not forward:
            return
        self._index.cut(forward)
        for stream, start in forward.items():
            self._give_back(self._outputs[stream], start)

    def _give_back(self, path: Path, end: int) -> None:
        """Nothing is shown of what stays on the disk because it can't be given back."""
        try:
            holes.release(path, end)
        except (IrekoError, OSError) as error:
            if not self._told:
                _log.warning("%s", error)
            self._told = True

    def _pass_over_holes(self) -> None:
        """A power cut may have taken the note of what was cut off, but not the fact."""
        for stream, path in self._outputs.items():
            with contextlib.suppress(FileNotFoundError):
                data, end = holes.first_data(path), path.stat().st_size
                if data > self._index.starts[stream]:
                    with path.open("rb") as file:
                        self._index.cut({stream: line_near(file, data, end)})

    @contextlib.contextmanager
    def _followed(self, reached: Place) -> Iterator[None]:
        """Keep the files open, so that a container which is removed as soon as it ends is still read to its end."""
        self._followers.append(reached)
        self._hold()
        try:
            yield
        finally:
            self._followers = [each for each in self._followers if each is not reached]
            if not self._followers:
                for file in self._held.values():
                    file.close()
                self._held.clear()
            self._trim()

    def _hold(self) -> None:
        if self._followers:
            for stream in self._outputs.keys() - self._held.keys():
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
        known = self._index.ends[stream]
        if status.st_size <= known:
            return None
        return Piece(status.st_mtime_ns, stream, known, status.st_size)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
