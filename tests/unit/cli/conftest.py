"""A daemon that answers from recorded files, on the client's own seam and, for the real docker client, on a socket."""

from __future__ import annotations

import http.server
import io
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ireko.cli.main import main
from ireko.cli.session import Session
from ireko.client import Client, Refused, Stream
from ireko.client.transport import Request

RECORDED = Path(__file__).parents[2] / "golden" / "cli" / "api"


def recorded(method: str, path: str, query: dict[str, str], now: datetime) -> bytes | None:
    """The recorded answer: `"ago:90"` in it is a moment that long before `now`. None when there is none."""
    name = f"{method}_{path.strip('/').replace('/', '_')}"
    everything = query.get("all") in {"1", "true"} and RECORDED / f"{name}_all.json"
    file = everything if everything and everything.is_file() else RECORDED / f"{name}.json"
    if not file.is_file():
        return None
    return re.sub(
        r'"ago:(\d+)"', lambda match: str(int(now.timestamp()) - int(match[1])), file.read_text(encoding="utf-8")
    ).encode()


class StubReply:
    def __init__(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status = 200
        self._body = body
        self._headers = headers or {}

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def pieces(self) -> Iterator[bytes]:
        half = len(self._body) // 2
        yield from (self._body[:half], self._body[half:])

    def close(self) -> None:
        pass


Answer = bytes | Refused | Callable[[Request], bytes]


@dataclass
class StubTransport:
    """Answers from `answers`, a request's "METHOD /path" to bytes or an error, then from the recorded files."""

    now: datetime
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> StubReply:
        self.requests.append(request)
        answer = self.answers.get(f"{request.method} {request.path}")
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Refused):
            raise answer
        if callable(answer):
            answer = answer(request)
        if answer is None:
            answer = recorded(request.method, request.path, dict(request.query), self.now)
        if answer is None:
            raise Refused(f"No such thing: {request.path}", status=404)
        return StubReply(answer)

    def upgrade(self, request: Request) -> Stream:
        raise AssertionError(f"nothing to attach to: {request.target}")

    def sent(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.requests]


@dataclass
class Ran:
    code: int
    out: str
    err: str


class Cli:
    """Runs command lines in this process against the stub."""

    def __init__(self, now: datetime, *, recorded_at: datetime) -> None:
        self.now = now
        self.transport = StubTransport(recorded_at)

    def __call__(self, *argv: str, stdin: str = "") -> Ran:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        session = Session(
            out=out,
            err=err,
            stdin=io.StringIO(stdin),
            connect=lambda _host: Client(self.transport),
            now=lambda: self.now,
        )
        code = main(argv, session=session)
        return Ran(code, *(_written(stream) for stream in (out, err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def cli() -> Cli:
    """At a moment that golden files know."""
    moment = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    return Cli(moment, recorded_at=moment)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`recorded_at` is the moment of the answers."""

    daemon_threads = True
    recorded_at = datetime.now(UTC)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    server: _Server

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v1\.\d+", "", parts.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = recorded(self.command if self.command != "HEAD" else "GET", path, query, self.server.recorded_at)
        status = 200 if body is not None else 404
        body = body if body is not None else json.dumps({"message": f"No such thing: {path}"}).encode()
        self.send_response(status)
        for name, value in (("Api-Version", "1.47"), ("Ostype", "linux"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


@pytest.fixture(scope="session")
def recorded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    """Gives the recorded answers to any client."""
    with _Server(str(tmp_path_factory.mktemp("daemon") / "s"), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def recorded_daemon(recorded_server: _Server) -> str:
    """The address of a server that gives the recorded answers to any client."""
    return f"unix://{recorded_server.server_address}"


@pytest.fixture
def cli_now(recorded_server: _Server) -> Cli:
    """At this very moment, at which the answers are given to others as well: what is ages ago is it for all of them."""
    moment = recorded_server.recorded_at = datetime.now(UTC)
    return Cli(moment, recorded_at=moment)
