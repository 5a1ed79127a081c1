"""The index of a log: when each piece of the output came.

In memory, and in a file of records that is only appended to, until its beginning has to go: then it is written anew. It holds
a limited number of pieces: of the older half some are told as one when there are more, and have the time of the first of
them. So the times of what came last are exact, and the further back a line lies, the less exactly is its time known.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ireko.drivers.base import Stream
from ireko.errors import IrekoError
from ireko.host.files import write_whole

_log = logging.getLogger(__name__)
_RECORD = struct.Struct("<qQB?6x")
"""Nanoseconds since 1970, bytes of the stream by then, stream, and whether this only says that what is before is gone."""
_NUMBERS = {stream.value for stream in Stream}
_MOST = 16384  # pieces
_TOGETHER = 4  # of two streams: what is joined is at most half as many

Place = Mapping[Stream, int]
"""A place in a log: how far each stream is read. A stream that is not named was not begun."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one stream that came at one time."""

    time: int
    stream: Stream
    start: int
    end: int


class LogIndex:
    """The pieces of one log, in the order in which they came."""

    def __init__(self, path: Path, *, most: int = _MOST) -> None:
        self._path = path
        self._most = most
        self._pieces: list[Piece] = []
        self._shape = 0  # how often pieces that were there have changed
        self.starts = dict.fromkeys(Stream, 0)
        """Where each stream begins: what was before is gone."""
        self.ends = dict.fromkeys(Stream, 0)
        """How much of each stream has been noted."""
        self._load()

    @property
    def pieces(self) -> Sequence[Piece]:
        """All that are left."""
        return self._pieces

    @property
    def size(self) -> int:
        """How many bytes of output are left."""
        return sum(self.ends.values()) - sum(self.starts.values())

    def add(self, fresh: Sequence[Piece]) -> None:
        """Note what has come."""
        self._pieces.extend(fresh)
        self.ends.update((piece.stream, piece.end) for piece in fresh)
        self._append(b"".join(_packed(piece) for piece in fresh))
        if len(self._pieces) > self._most:
            self._coarsen()

    def cut(self, starts: Place) -> None:
        """Forget what lies before these bytes of the streams."""
        self.starts.update(starts)
        self.ends.update((stream, max(self.ends[stream], start)) for stream, start in starts.items())
        left = (piece for piece in self._pieces if piece.end > self.starts[piece.stream])
        self._pieces = [_behind(piece, self.starts[piece.stream]) for piece in left]
        self._reshaped()

    def after(self, place: Place) -> Iterator[Piece]:
        """What is behind a place, or of a piece that part of it. The place may move on in between, and so may the log."""
        shape, number = self._shape, self._first_after(place)
        while True:
            if shape != self._shape:
                shape, number = self._shape, self._first_after(place)
            if number >= len(self._pieces):
                return
            piece = self._pieces[number]
            number += 1
            if (read := place.get(piece.stream, 0)) < piece.end:
                yield _behind(piece, read)

    def _first_after(self, place: Place) -> int:
        """Looks from the end, as who follows a log is seldom far behind."""
        behind = {stream for stream in Stream if place.get(stream, 0) < self.ends[stream]}
        first = number = len(self._pieces)
        while behind and number:
            number -= 1
            piece = self._pieces[number]
            if piece.end <= place.get(piece.stream, 0):
                behind.discard(piece.stream)
            elif piece.stream in behind:
                first = number
        return first

    def _coarsen(self) -> None:
        while len(self._pieces) > self._most:
            half = len(self._pieces) // 2
            self._pieces[:half] = _joined(self._pieces[:half])
        self._reshaped()

    def _reshaped(self) -> None:
        self._shape += 1
        gone = (_RECORD.pack(0, start, stream.value, True) for stream, start in self.starts.items() if start)
        try:
            write_whole(self._path, b"".join((*gone, *map(_packed, self._pieces))), lasting=False)
        except (IrekoError, OSError) as error:
            _log.warning('"%s" can\'t be written: %s', self._path, error)

    def _append(self, records: bytes) -> None:
        """On a full disk the file goes without: the next record that finds room stands for those before it, too."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                written = os.write(descriptor, records)
                if torn := written % _RECORD.size:
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning('"%s" can\'t be written: %s', self._path, error)

    def _load(self) -> None:
        """The pieces up to the first record that makes no sense; what is behind it is cut off, and noted anew."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole = 0
        for whole in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
            if not self._take(*_RECORD.unpack_from(data, whole)):
                break
        else:
            whole = len(data) - len(data) % _RECORD.size
        if whole < len(data):
            os.truncate(self._path, whole)
        if len(self._pieces) > self._most:
            self._coarsen()

    def _take(self, time: int, end: int, number: int, gone: bool) -> bool:
        """Whether a record makes sense; then it is taken."""
        if number not in _NUMBERS or end < self.ends[Stream(number)]:
            return False
        stream = Stream(number)
        if gone:
            self.starts[stream] = end
        else:
            self._pieces.append(Piece(time, stream, self.ends[stream], end))
        self.ends[stream] = end
        return True


def _packed(piece: Piece) -> bytes:
    return _RECORD.pack(piece.time, piece.end, piece.stream.value, False)


def _behind(piece: Piece, start: int) -> Piece:
    """What of a piece is behind a byte."""
    return piece if piece.start >= start else replace(piece, start=start)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Of every few pieces those of one stream as one."""
    for first in range(0, len(pieces), _TOGETHER):
        together: dict[Stream, Piece] = {}
        for piece in pieces[first : first + _TOGETHER]:
            together[piece.stream] = replace(together.get(piece.stream, piece), end=piece.end)
        yield from together.values()
