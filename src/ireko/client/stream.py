"""A connection that stopped being HTTP: attach and exec."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import IO

from ireko.errors import Unavailable
from ireko.model.framing import STDERR, STDOUT, FrameDecoder

__all__ = ["STDERR", "STDOUT", "Stream", "demultiplexed"]

_PIECE = 1 << 16


class Stream:
    """Both directions of an attached container or exec.

    One thread may read while another writes. `multiplexed` says whether output tells stdout and stderr apart.
    """

    def __init__(self, connection: socket.socket, reader: IO[bytes], *, multiplexed: bool) -> None:
        self._connection = connection
        self._reader = reader
        self.multiplexed = multiplexed

    def output(self) -> Iterator[tuple[int, bytes]]:
        """What the process writes, as (STDOUT or STDERR, bytes), until it ends or the stream is closed."""
        pieces = self._pieces()
        return demultiplexed(pieces) if self.multiplexed else ((STDOUT, piece) for piece in pieces)

    def _pieces(self) -> Iterator[bytes]:
        try:
            while piece := self._reader.read1(_PIECE):  # type: ignore[attr-defined]
                yield piece
        except (ConnectionError, ValueError):
            return  # closed by the other side, or by us in another thread

    def write(self, data: bytes) -> None:
        """Send input. Raises Unavailable when the other side takes no more."""
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise Unavailable(f"the container takes no more input: {error}") from error

    def close_write(self) -> None:
        """Tell the process that its input has ended; output goes on."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Detach; a reader in another thread sees the end. May be called again."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # ends a read that another thread is in
        self._connection.close()
        self._reader.close()


def demultiplexed(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Stream numbers and data out of a multiplexed stream that is cut anywhere. Raises Unavailable when it is none."""
    decoder = FrameDecoder()
    for piece in pieces:
        try:
            yield from decoder.feed(piece)
        except ValueError as error:
            raise Unavailable(f"the daemon's output can't be read: {error}") from error
