"""How requests reach a daemon: the seam that tests replace, and HTTP/1.1 over a unix socket or TCP."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode

from ireko.client.address import Address
from ireko.client.refusal import Refused
from ireko.client.stream import Stream
from ireko.errors import Denied, IrekoError, Unavailable, Unsupported

_PIECE = 1 << 16
_CONNECT_TIMEOUT = 10.0  # seconds; only for reaching the daemon, an answer may take as long as it takes


@dataclass(frozen=True)
class Request:
    """`path` is unquoted and has no version; a body that is no bytes is sent in chunks as it comes."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Path and query as HTTP writes them."""
        path = quote(self.path, safe="/:@")
        return f"{path}?{urlencode(self.query)}" if self.query else path


class Reply(Protocol):
    """An answer whose body has not been read yet."""

    status: int

    def header(self, name: str) -> str:
        """The header's value, or "" when there is none."""

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, in pieces of any size; ends with the body."""

    def close(self) -> None:
        """Read no more."""


class Transport(Protocol):
    """What carries requests to a daemon. Errors are Refused (it said no) and Unavailable (it does not answer)."""

    def send(self, request: Request) -> Reply:
        """Return when the answer's headers are there."""

    def upgrade(self, request: Request) -> Stream:
        """Return the raw connection that the request is turned into."""


class HttpReply:
    """A reply read from a connection, which it owns."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str:
        """The header's value, or "" when there is none."""
        return self._response.getheader(name) or ""

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises Unavailable when the daemon goes away in the middle."""
        try:
            while piece := self._response.read1(_PIECE):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the daemon went away in the middle of an answer: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back to the system; may be called again."""
        self._response.close()
        self._connection.close()


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to an address that need not be TCP."""

    def __init__(self, address: Address) -> None:
        super().__init__("localhost" if address.scheme != "tcp" else address.host)
        self._address = address

    def connect(self) -> None:
        self.sock = open_socket(self._address)


def open_socket(address: Address) -> socket.socket:
    """Connect. Raises OSError when nobody listens, Unsupported for an address that this system can't reach."""
    if address.scheme == "tcp":
        made = socket.create_connection((address.host, address.port), timeout=_CONNECT_TIMEOUT)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    elif address.scheme == "unix" and hasattr(socket, "AF_UNIX"):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(_CONNECT_TIMEOUT)
        try:
            made.connect(address.path)
        except BaseException:
            made.close()
            raise
    else:
        # A named pipe needs overlapped reads and writes, so it becomes a class of its own beside this function.
        raise Unsupported(f'an address of the kind "{address.scheme}" can\'t be reached from this system yet')
    made.settimeout(None)
    return made


class HttpTransport:
    """One connection for each request, so that nothing waits for anything else.

    `on_silence` is called when nobody listens at the address; when it returns, the connection is tried once more.
    """

    def __init__(
        self, address: Address, *, on_silence: Callable[[], None] | None = None, version: str = "v1.47"
    ) -> None:
        self.address = address
        self._on_silence = on_silence
        self._prefix = f"/{version}" if version else ""

    def send(self, request: Request) -> HttpReply:
        """Return when the answer's headers are there. Raises Refused and Unavailable."""
        connection, response = self._exchange(request, dict(request.headers))
        reply = HttpReply(connection, response)
        if response.status >= 400 or response.status == 304:
            body = b"" if request.method == "HEAD" else b"".join(reply.pieces())
            reply.close()
            raise Refused.from_body(response.status, response.reason, body)
        return reply

    def upgrade(self, request: Request) -> Stream:
        """Turn the connection into a raw stream. Raises Refused and Unavailable."""
        connection, response = self._exchange(request, {**request.headers, "Connection": "Upgrade", "Upgrade": "tcp"})
        if response.status not in {101, 200}:
            raise Refused.from_body(
                response.status, response.reason, b"".join(HttpReply(connection, response).pieces())
            )
        assert isinstance(connection.sock, socket.socket)
        multiplexed = response.getheader("Content-Type") != "application/vnd.docker.raw-stream"
        # The response's reader may hold bytes that came with the headers, so reading goes on through it.
        return Stream(connection.sock, response.fp, multiplexed=multiplexed)

    def _exchange(
        self, request: Request, headers: dict[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._connect()
        try:
            # A daemon that refuses a long body answers and stops reading: its answer is worth more than our broken pipe.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, self._prefix + request.target, body=request.body, headers=headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unavailable(f'the daemon at "{self.address}" ended the connection: {error}') from error
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> _Connection:
        connection = _Connection(self.address)
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if self._on_silence is None:
                raise _silent(self.address, error) from error
            self._on_silence()
            try:
                connection.connect()
            except OSError as again:
                raise _silent(self.address, again) from again
        except OSError as error:
            raise _silent(self.address, error) from error
        return connection


def _silent(address: Address, error: OSError) -> IrekoError:
    if isinstance(error, PermissionError):
        return Denied(
            f'permission denied while connecting to the daemon at "{address}"', hint="use the account that started it"
        )
    return Unavailable(
        f"Cannot connect to the ireko daemon at {address}. Is the daemon running? ({error.strerror or error})",
        hint=f"ireko serve -H {address}",
    )
