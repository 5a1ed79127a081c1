"""How requests reach a daemon: the seam that tests replace, and HTTP over a unix socket or TCP."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from ireko.client.address import Address
from ireko.client.http import Answer, BadAnswer, Connection
from ireko.client.refusal import Refused
from ireko.client.stream import Stream
from ireko.errors import Denied, IrekoError, Unavailable, Unsupported

_CONNECT_TIMEOUT = 10.0  # seconds; only for reaching the daemon, an answer may take as long as it takes
_PLAIN = re.compile(r"[\w/.:@-]*", re.ASCII)


class Request(NamedTuple):
    """`path` is unquoted and has no version; a body that is no bytes is sent in chunks as it comes."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    body: bytes | Iterable[bytes] | None = None
    headers: Mapping[str, str] = {}

    @property
    def target(self) -> str:
        """Path and query as HTTP writes them."""
        if not self.query and _PLAIN.fullmatch(self.path):
            return self.path

        from urllib.parse import quote, urlencode

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

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status

    def header(self, name: str) -> str:
        """The header's value, or "" when there is none."""
        return self._answer.headers.get(name.lower(), "")

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises Unavailable when the daemon goes away in the middle."""
        try:
            yield from self._answer.body()
        except (OSError, BadAnswer) as error:
            raise Unavailable(f"the daemon went away in the middle of an answer: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back to the system; may be called again."""
        self._answer.connection.close()


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
        reply = HttpReply(answer := self._exchange(request, request.headers))
        if answer.status >= 400 or answer.status == 304:
            raise _refused(answer, has_body=request.method != "HEAD")
        return reply

    def upgrade(self, request: Request) -> Stream:
        """Turn the connection into a raw stream. Raises Refused and Unavailable."""
        answer = self._exchange(request, {**request.headers, "Connection": "Upgrade", "Upgrade": "tcp"})
        if answer.status not in {101, 200}:
            raise _refused(answer, has_body=True)
        multiplexed = answer.headers.get("content-type") != "application/vnd.docker.raw-stream"
        # The reader may hold bytes that came with the headers, so reading goes on through it.
        return Stream(answer.connection.socket, answer.connection.reader, multiplexed=multiplexed)

    def _exchange(self, request: Request, headers: Mapping[str, str]) -> Answer:
        connection = Connection(self._connect(), host=self.address.name)
        try:
            # A daemon that refuses a long body answers and stops reading: its answer is worth more than our broken pipe.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(request.method, self._prefix + request.target, headers, request.body)
            return connection.answer()
        except (OSError, BadAnswer) as error:
            connection.close()
            raise Unavailable(f'the daemon at "{self.address}" ended the connection: {error}') from error
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> socket.socket:
        try:
            return open_socket(self.address)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if self._on_silence is None:
                raise _silent(self.address, error) from error
        except OSError as error:
            raise _silent(self.address, error) from error
        self._on_silence()
        try:
            return open_socket(self.address)
        except OSError as error:
            raise _silent(self.address, error) from error


def _refused(answer: Answer, *, has_body: bool) -> Refused:
    body = b"".join(HttpReply(answer).pieces()) if has_body else b""
    answer.connection.close()
    return Refused.from_body(answer.status, answer.reason, body)


def _silent(address: Address, error: OSError) -> IrekoError:
    if isinstance(error, PermissionError):
        return Denied(
            f'permission denied while connecting to the daemon at "{address}"', hint="use the account that started it"
        )
    return Unavailable(
        f"Cannot connect to the ireko daemon at {address}. Is the daemon running? ({error.strerror or error})",
        hint=f"ireko serve -H {address}",
    )
