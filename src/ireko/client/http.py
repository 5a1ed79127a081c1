"""HTTP/1.1 as a client of one daemon needs it: https://www.rfc-editor.org/rfc/rfc9112

The standard library's http.client would do, but importing it (email, ssl, urllib) takes a third of the time in which
`ireko ps` is to be done.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

_PIECE = 1 << 16
_LINE = 1 << 16
_HEADERS = 100


class BadAnswer(Exception):
    """What came is no HTTP answer, or only the beginning of one."""


class Connection:
    """A connection that carries one request and its answer; it owns the socket. `host` is the name it was reached by."""

    def __init__(self, made: socket.socket, *, host: str) -> None:
        self.socket = made
        self._host = host
        self.reader: IO[bytes] = made.makefile("rb")

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None) -> None:
        """Write a request; a body that is no bytes is sent in chunks as it comes."""
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {self._host}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if body is None or isinstance(body, bytes):
            content = body or b""
            if content or method != "GET":
                lines.append(f"Content-Length: {len(content)}")
            self.socket.sendall(_head(lines) + content)
            return
        self.socket.sendall(_head([*lines, "Transfer-Encoding: chunked"]))
        for piece in body:
            if piece:
                self.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.socket.sendall(b"0\r\n\r\n")

    def answer(self) -> Answer:
        """Read as far as the end of the headers. Raises BadAnswer and OSError."""
        version, _, rest = self._line().partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not status.isdigit():
            raise BadAnswer("what answers there does not speak HTTP")
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > _HEADERS:
                raise BadAnswer("the answer has too many headers")
        if status == "100":
            return self.answer()
        return Answer(self, int(status), reason, headers)

    def _line(self) -> str:
        line = self.reader.readline(_LINE)
        if not line.endswith(b"\n"):
            raise BadAnswer("the connection ended before the answer did")
        return line.decode("latin-1").rstrip("\r\n")

    def close(self) -> None:
        """Close it; may be called again."""
        self.reader.close()
        self.socket.close()


class Answer:
    """An answer whose body has not been read yet. Names of headers are in lower case."""

    def __init__(self, connection: Connection, status: int, reason: str, headers: dict[str, str]) -> None:
        self.connection = connection
        self.status = status
        self.reason = reason
        self.headers = headers

    def body(self) -> Iterator[bytes]:
        """The body, each piece as soon as it is there. Raises BadAnswer when it ends too early, and OSError."""
        if self.status in {204, 304}:
            return iter(())
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("content-length")
        return self._to_the_end() if length is None else self._exactly(int(length))

    def _to_the_end(self) -> Iterator[bytes]:
        while piece := self._read(_PIECE):
            yield piece

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._read(min(size, _PIECE))
            if not piece:
                raise BadAnswer("the connection ended before the answer did")
            size -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            self._blank_line()
        while self._trailer():
            pass

    def _chunk_size(self) -> int:
        line = self.connection.reader.readline(_LINE)
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError as error:
            raise BadAnswer("the connection ended before the answer did") from error

    def _blank_line(self) -> None:
        self.connection.reader.readline(_LINE)

    def _trailer(self) -> bool:
        return self.connection.reader.readline(_LINE) not in {b"", b"\r\n", b"\n"}

    def _read(self, size: int) -> bytes:
        piece: bytes = self.connection.reader.read1(size)  # type: ignore[attr-defined]
        return piece


def _head(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
