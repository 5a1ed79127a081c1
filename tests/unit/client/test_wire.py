"""HTTP, framing and JSON streams, cut anywhere."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.client.address import Address
from ireko.client.client import filters, json_stream
from ireko.client.http import BadAnswer, Connection
from ireko.client.refusal import Refused
from ireko.client.stream import demultiplexed
from ireko.client.transport import HttpTransport, Request
from ireko.errors import InvalidInput, Kind, Unavailable

pieces = st.lists(st.binary(max_size=40))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=300))), st.lists(st.integers(0, 10_000)))
def test_frames_come_back_however_they_are_cut(frames: list[tuple[int, bytes]], places: list[int]) -> None:
    sent = b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for stream, data in frames)
    assert joined(demultiplexed(cut(sent, places))) == joined(frames)


def joined(frames: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Frames of one stream that follow each other, as one."""
    groups = itertools.groupby((frame for frame in frames if frame[1]), key=lambda frame: frame[0])
    return [(stream, b"".join(data for _, data in group)) for stream, group in groups]


def test_what_is_no_stream_of_frames_is_said() -> None:
    with pytest.raises(Unavailable, match="can't be read"):
        list(demultiplexed([b"HTTP/1.1 200 OK\r\n"]))


@given(
    st.lists(st.dictionaries(st.text(), st.integers() | st.text())),
    st.sampled_from(["", "\n", "\r\n "]),
    st.lists(st.integers(0, 9999)),
)
def test_json_objects_come_back_however_they_are_cut(objects: list[dict], between: str, places: list[int]) -> None:
    sent = between.join(json.dumps(each, ensure_ascii=False) for each in objects).encode("utf-8", "surrogatepass")
    if b"\xed" not in sent:  # a lone surrogate is no text that a daemon could send
        assert list(json_stream(cut(sent, places))) == objects


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/a b/s", Address("unix", path="/run/a b/s")),
        ("tcp://127.0.0.1:99", Address("tcp", host="127.0.0.1", port=99)),
        ("tcp://host", Address("tcp", host="host", port=2375)),
        ("tcp://[::1]:5", Address("tcp", host="::1", port=5)),
        ("tcp://[::1]", Address("tcp", host="::1", port=2375)),
        ("npipe:////./pipe/ireko", Address("npipe", path="//./pipe/ireko")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    ("text", "name"),
    [("tcp://127.0.0.1:99", "127.0.0.1:99"), ("tcp://[::1]:5", "[::1]:5"), ("unix:///run/s", "ireko")],
)
def test_an_address_is_written_as_it_was_read(text: str, name: str) -> None:
    assert (str(Address.parse(text)), Address.parse(text).name) == (text, name)


@pytest.mark.parametrize("text", ["", "/run/s", "http://x", "unix://", "tcp://x:0", "tcp://x:99999", "tcp://x:a"])
def test_addresses_that_can_t_be_read(text: str) -> None:
    with pytest.raises(InvalidInput, match="address"):
        Address.parse(text)


def test_filters_gather_values() -> None:
    assert filters([]) == ""
    assert json.loads(filters(["status=exited", "status=created", "label=a=b"])) == {
        "status": ["exited", "created"], "label": ["a=b"],
    }  # fmt: skip


def test_targets_are_quoted() -> None:
    assert Request("GET", "/images/host:5000/a b/json").target == "/images/host:5000/a%20b/json"
    assert Request("GET", "/x", {"path": "/ü &"}).target == "/x?path=%2F%C3%BC+%26"


@pytest.fixture
def wires() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, host="here")
    yield connection, theirs
    connection.close()
    theirs.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.0 200 \r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_bodies(wires: tuple[Connection, socket.socket], answer: bytes, body: bytes) -> None:
    connection, theirs = wires
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    assert b"".join(connection.answer().body()) == body


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)  # fmt: skip
def test_answers_that_are_cut_off(wires: tuple[Connection, socket.socket], answer: bytes) -> None:
    connection, theirs = wires
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(BadAnswer):
        b"".join(connection.answer().body())


def test_a_body_is_seen_as_it_comes(wires: tuple[Connection, socket.socket]) -> None:
    connection, theirs = wires
    theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    body = connection.answer().body()
    assert next(body) == b"one"
    theirs.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
    assert list(body) == [b"two"]


@given(pieces)
def test_what_is_sent_in_chunks_is_all_of_it(sent: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, host="here")
    reader = theirs.makefile("rb")
    try:
        connection.send("PUT", "/x", {"A": "b"}, iter(sent))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += reader.readline()
        assert head.startswith(b"PUT /x HTTP/1.1\r\nHost: here\r\nA: b\r\n")
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            assert reader.read(2) == b"\r\n"
        assert body == b"".join(sent)
    finally:
        connection.close()
        reader.close()
        theirs.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    [
        (
            404,
            b'{"message": "No such container: x", "hint": "ireko ps"}',
            Kind.NOT_FOUND,
            "No such container: x",
            "ireko ps",
        ),
        (409, b"plain words\n", Kind.CONFLICT, "plain words", ""),
        (507, b"[]", Kind.NO_SPACE, "[]", ""),
        (500, b"", Kind.FAILED, "500 Oops", ""),
    ],
)
def test_refusals(status: int, body: bytes, kind: Kind, message: str, hint: str) -> None:
    error = Refused.from_body(status, "Oops", body)
    assert (error.kind, error.message, error.hint, error.status) == (kind, message, hint, status)


class Server:
    """Answers every connection on a unix socket with the same bytes."""

    def __init__(self, path: str, answer: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._answer = answer
        self.seen: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.seen.append(connection.recv(65536))
                    connection.sendall(self._answer)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def server(tmp_path):
    made: list[Server] = []

    def make(answer: bytes) -> Server:
        made.append(Server(str(tmp_path / "s"), answer))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_refusal_is_read_from_the_body(server, tmp_path) -> None:
    server(b'HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{"message": "no"}')
    with pytest.raises(Refused, match=r"^no$"):
        HttpTransport(Address("unix", path=str(tmp_path / "s"))).send(Request("GET", "/x"))


def test_bytes_that_come_with_the_upgrade_are_not_lost(server, tmp_path) -> None:
    made = server(
        b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n\r\nearly"
    )
    stream = HttpTransport(Address("unix", path=str(tmp_path / "s"))).upgrade(Request("POST", "/x"))
    assert list(stream.output()) == [(1, b"early")]
    stream.close()
    stream.close()
    assert b"Upgrade: tcp\r\n" in made.seen[0]


def test_nobody_there_is_unavailable_and_names_the_address(tmp_path) -> None:
    with pytest.raises(Unavailable, match="Cannot connect to the ireko daemon at unix://"):
        HttpTransport(Address("unix", path=str(tmp_path / "s"))).send(Request("GET", "/x"))


def test_silence_is_reported_once_and_then_tried_again(server, tmp_path) -> None:
    called: list[str] = []

    def start() -> None:
        called.append("started")
        server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    transport = HttpTransport(Address("unix", path=str(tmp_path / "s")), on_silence=start)
    for _ in range(2):
        assert b"".join(transport.send(Request("GET", "/x")).pieces()) == b"[]"
    assert called == ["started"]
