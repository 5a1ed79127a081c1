"""Streams that may be compressed: what is in them, in pieces of bounded size however much a piece of them stands for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, Protocol, cast

import zstandard

from ireko.errors import Damaged, Unsupported

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""What streams of these kinds begin with."""
_OTHERS = {b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
MARK_LENGTH = 6
"""Bytes that a stream has to begin with for its kind to be known."""
_PIECE = 1 << 20
_GZIP_WINDOW = 31
_WINDOW_LARGEST = 128 << 20
"""What zstd has at its highest usual levels; more would be memory that a stranger asks for."""


class Unpacker(Protocol):
    """`feed` it all of a stream."""

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises Damaged."""


def unpacker(begin: bytes, taken: Callable[[bytes], None]) -> Unpacker:
    """For the stream that begins so; `taken` is told what is in it. Raises Unsupported for a compression that isn't known."""
    for mark, name in _OTHERS.items():
        if begin.startswith(mark):
            raise Unsupported(f"the archive is compressed with {name}, which isn't known", hint="gzip and zstd are")
    if begin.startswith(GZIP):
        return _Gzip(taken)
    return _Zstd(taken) if begin.startswith(ZSTD) else _Plain(taken)


def is_compressed(begin: bytes) -> bool:
    """Whether a stream that begins so is one of those that are unpacked."""
    return begin.startswith((GZIP, ZSTD))


class _Plain:
    def __init__(self, taken: Callable[[bytes], None]) -> None:
        self.feed = taken


class _Gzip:
    def __init__(self, taken: Callable[[bytes], None]) -> None:
        self._taken = taken
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, data: bytes) -> None:
        try:
            more = bool(data)
            while more:
                if self._member.eof:  # several streams one after another are one
                    self._member = zlib.decompressobj(_GZIP_WINDOW)
                piece = self._member.decompress(data, _PIECE)
                self._taken(piece)
                data = self._member.unconsumed_tail or self._member.unused_data
                more = bool(data) or (len(piece) == _PIECE and not self._member.eof)
        except zlib.error as error:
            raise Damaged(f"the archive's compression is damaged: {error}") from error


class _Zstd:
    def __init__(self, taken: Callable[[bytes], None]) -> None:
        self._taken = taken
        into = cast("IO[bytes]", self)  # of which nothing but `write` is used
        self._writer = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LARGEST).stream_writer(into, closefd=False)

    def write(self, data: bytes) -> int:
        """What the library has unpacked."""
        self._taken(bytes(data))
        return len(data)

    def feed(self, data: bytes) -> None:
        try:
            self._writer.write(data)
        except zstandard.ZstdError as error:
            raise Damaged(f"the archive's compression is damaged: {error}") from error
