"""docker's multiplexed stream: several outputs on one connection, without I/O.

Each frame is eight bytes of header (the stream's number, three zeros, the length as a big-endian 32-bit number) and the data.
https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerAttach
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

STDIN, STDOUT, STDERR = 0, 1, 2
_HEADER = struct.Struct(">B3xL")
_LONGEST = 0xFFFF_FFFF


def frame(stream: int, data: bytes) -> bytes:
    """The data as a frame; nothing for no data, as some clients take an empty frame for the end."""
    if not data:
        return b""
    if len(data) > _LONGEST:
        raise ValueError(f"a frame holds at most {_LONGEST} bytes, not {len(data)}")
    return _HEADER.pack(stream, len(data)) + data


class FrameDecoder:
    """Takes a multiplexed stream apart, however its bytes were cut.

    Data is given on as it comes: a long frame comes out in several pieces, so nothing larger than a header is ever kept.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The stream numbers and data that these bytes bring. Raises ValueError when they are no such stream."""
        place = 0
        while place < len(data):
            if self._left:
                piece = data[place : place + self._left]
                place += len(piece)
                self._left -= len(piece)
                yield self._stream, piece
            else:
                wanted = _HEADER.size - len(self._header)
                self._header += data[place : place + wanted]
                place += wanted
                self._open_frame()

    @property
    def complete(self) -> bool:
        """Whether the stream may end here: not in the middle of a frame."""
        return not self._left and not self._header

    def _open_frame(self) -> None:
        if len(self._header) < _HEADER.size:
            return
        self._stream, self._left = _HEADER.unpack(self._header)
        if self._stream > STDERR or self._header[1:4] != b"\0\0\0":
            raise ValueError(f"no frame of a multiplexed stream begins with {self._header.hex()}")
        self._header = b""
