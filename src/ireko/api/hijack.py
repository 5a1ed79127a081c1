"""Connections that stop being HTTP: attach and exec.

Everything that touches aiohttp's inside is in this file. aiohttp knows upgrades for websockets alone, and three things are
missing for docker's raw streams:

* The C parser throws away what comes behind the head of an upgraded request that is no websocket (a client may send its
  first input at once). The parser written in Python knows docker's upgrade: it stops at the end of the request, and the
  protocol keeps what follows.
* A client that ends its input (CloseWrite) goes on reading; asyncio closes such a connection unless the protocol's
  `eof_received` says otherwise.
* Input must stop flowing while the guest does not take it.

And one thing is wrong: a pause that comes with the last byte of a chunk is heeded at the next chunk, although reading has gone on
since. What came of that chunk waits for more to come, which after the last one is for ever.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from typing import Any, cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParserPy
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

_LIMIT = 1 << 18
"""Bytes of input that are held before the client has to wait."""
_LINE_LIMIT = 1 << 16
"""Bytes of a request line or a header: filters make long ones."""

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


class RawStream:
    """A connection taken over from HTTP. Closed by the route's end, lost when the client goes."""

    def __init__(self, protocol: Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._held = bytearray()
        self._eof = False
        self._arrived = asyncio.Event()

    async def input(self) -> AsyncIterator[bytes]:
        """What the client sends, until it ends its input."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            data = bytes(self._held)
            self._held.clear()
            self._transport.resume_reading()
            if data:
                yield data
            if self._eof and not self._held:
                return

    async def send(self, data: bytes) -> None:
        """Send; returns when there is room for more. Raises ConnectionError when the client is gone."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)
        await self._protocol._drain_helper()  # what aiohttp's own writer waits for

    def feed(self, data: bytes) -> None:
        """The protocol's side: the client sent this."""
        self._held += data
        self._arrived.set()
        if len(self._held) > _LIMIT:
            self._transport.pause_reading()

    def feed_eof(self) -> None:
        """The protocol's side: the client has ended its input."""
        self._eof = True
        self._arrived.set()


class Protocol(RequestHandler):
    """aiohttp's connection, which a route can take over."""

    __slots__ = ("_ended", "_hang_ups", "_raw", "_requests")

    def __init__(self, server: Server, *, loop: asyncio.AbstractEventLoop, **settings: Any) -> None:
        super().__init__(server, loop=loop, **settings)
        self._parser = HttpRequestParserPy(
            self,
            loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=RequestPayloadError,
            max_msg_queue_size=self._max_msg_queue_size,
        )
        self._requests = self._parser
        self._hang_ups = server.hang_ups
        self._raw: RawStream | None = None
        self._ended = False

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on, and forget a pause that the parser has not come to yet."""
        if (body := self._requests._payload_parser) is not None:
            body._paused = False
        super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse it, unless the connection was taken over."""
        if self._raw is None:
            super().data_received(data)
        else:
            self._raw.feed(data)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio reads the answer, aiohttp has none
        """The client sends no more; a connection that is or will be a raw stream stays open for the other direction."""
        self._ended = True
        if self._raw is not None:
            self._end_input(self._raw)
        elif self._upgraded:
            self.close()  # no further request will come
        return self._upgraded or self._raw is not None

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone: whatever is done for it is cancelled."""
        self._hang_ups.forget(self)
        super().connection_lost(exc)

    def take_over(self) -> RawStream:
        """From here on, the connection's bytes are the route's. Raises ConnectionError when the client is gone."""
        transport = self.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        self._raw = RawStream(self, transport)
        # The keep-alive timer is for connections that wait for a request.
        self.keep_alive(False)
        if self._message_tail:
            self._raw.feed(self._message_tail)
            self._message_tail = b""
        else:
            transport.resume_reading()
        if self._ended:
            self._end_input(self._raw)
        return self._raw

    def _end_input(self, raw: RawStream) -> None:
        raw.feed_eof()
        if self.transport is not None:
            # Nothing is read any more, so nobody would notice that the client goes away altogether.
            self._hang_ups.watch(self, self.transport)


class HangUps:
    """Notices clients that have gone after they ended their input; where the system can't tell, the next write will."""

    def __init__(self) -> None:
        self._poll = select.epoll() if hasattr(select, "epoll") else None
        self._watched: dict[Protocol, tuple[int, asyncio.Transport]] = {}
        if self._poll is not None:
            asyncio.get_running_loop().add_reader(self._poll.fileno(), self._look)

    def watch(self, protocol: Protocol, transport: asyncio.Transport) -> None:
        """Abort the transport when the other side is gone."""
        if self._poll is None or protocol in self._watched:
            return
        number = transport.get_extra_info("socket").fileno()
        self._poll.register(number, 0)  # hang-ups and errors are always told
        self._watched[protocol] = number, transport

    def forget(self, protocol: Protocol) -> None:
        """The connection is closed, or about to be."""
        if self._poll is not None and (watched := self._watched.pop(protocol, None)):
            self._poll.unregister(watched[0])

    def close(self) -> None:
        """Watch no more."""
        if self._poll is not None:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None

    def _look(self) -> None:
        assert self._poll is not None
        gone = {number for number, _ in self._poll.poll(0)}
        for protocol, (number, transport) in list(self._watched.items()):
            if number in gone:
                self.forget(protocol)
                transport.abort()


class Server(web.Server):
    """aiohttp's server, on connections that can be taken over."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.hang_ups = HangUps()

    def __call__(self) -> RequestHandler:
        """The protocol of a fresh connection."""
        return Protocol(
            self,
            loop=asyncio.get_running_loop(),
            access_log=cast("Any", None),
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )


class _Done(web.StreamResponse):
    """Tells aiohttp that a request was answered, without another byte."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """The head was sent by `hijack`."""

    async def write_eof(self, data: bytes = b"") -> None:
        """The end is the connection's."""


async def hijack(request: web.BaseRequest, *, headers: dict[str, str], content_type: str) -> RawStream:
    """Answer the request's head and take its connection over. Raises ConnectionError when the client is gone.

    A client that asks for an upgrade is told that it has one; the others get the old style: a body without an end.
    """
    protocol = request.protocol
    assert isinstance(protocol, Protocol)
    if "Upgrade" in request.headers:
        lines = ["HTTP/1.1 101 UPGRADED", "Connection: Upgrade", "Upgrade: tcp"]
    else:
        lines, content_type = ["HTTP/1.1 200 OK"], RAW
    lines += [f"{name}: {value}" for name, value in {**headers, "Content-Type": content_type}.items()]
    stream = protocol.take_over()
    await stream.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
    return stream


def hijacked() -> web.StreamResponse:
    """What a route returns when it is done with its raw stream: aiohttp then closes the connection."""
    done = _Done()
    done.force_close()
    return done
