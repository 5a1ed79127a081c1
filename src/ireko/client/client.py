"""The daemon as an object: one attribute for each noun."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ireko.client.transport import Reply, Request, Transport
from ireko.errors import Unavailable

Json = dict[str, Any]
"""An object of the API, with the API's own field names."""


class Wire:
    """Requests and answers as Python values, on any transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; the answer's body is not read yet. `body` is bytes, an iterable of bytes, or anything JSON can hold."""
        sent, extra = _encode(body)
        return self.transport.send(Request(method, path, _plain(query or {}), sent, {**extra, **(headers or {})}))

    def fetch(self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None) -> Any:
        """One request and the JSON it answers; None when the answer is empty."""
        content = b"".join(self.send(method, path, query=query, body=body).pieces())
        return parsed(content) if content.strip() else None

    def lines(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None
    ) -> Iterator[Json]:
        """One request and the JSON objects it answers, each as soon as it is there."""
        return json_stream(self.send(method, path, query=query, body=body).pieces())


class Client:
    """Everything that a daemon can be asked.

    Objects go in and come out as the API writes them. Every method raises Refused when the daemon says no and Unavailable
    when it does not answer.
    """

    def __init__(self, transport: Transport) -> None:
        from ireko.client.containers import Containers
        from ireko.client.images import Images, Volumes
        from ireko.client.system import System

        wire = Wire(transport)
        self.containers = Containers(wire)
        self.images = Images(wire)
        self.volumes = Volumes(wire)
        self.system = System(wire)


def filters(pairs: Iterable[str]) -> str:
    """The `filters` parameter for `key=value` pairs; "" for none."""
    gathered: dict[str, list[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        gathered.setdefault(key.strip().lower(), []).append(value.strip())
    return json.dumps(gathered) if gathered else ""


def parsed(content: bytes) -> Any:
    """JSON as a Python value. Raises Unavailable: a daemon that sends something else is none, or was cut off."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise Unavailable(f"the daemon's answer can't be read: {error}") from error


def json_stream(pieces: Iterable[bytes]) -> Iterator[Json]:
    """JSON objects one after another, with or without newlines between them, however the pieces are cut."""
    import codecs

    decoder, text, held = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace"), ""
    for piece in pieces:
        held = (held + text.decode(piece)).lstrip()
        while held:
            try:
                value, end = decoder.raw_decode(held)
            except ValueError:
                break
            yield value
            held = held[end:].lstrip()


def _plain(query: Mapping[str, object]) -> dict[str, str]:
    """Only what says something: False, None and "" are the daemon's defaults."""
    return {
        name: "1" if value is True else str(value)
        for name, value in query.items()
        if value is not None and value is not False and value != ""
    }


def _encode(body: object) -> tuple[bytes | Iterable[bytes] | None, dict[str, str]]:
    if body is None or isinstance(body, bytes):
        return body, {}
    if isinstance(body, dict):
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    assert isinstance(body, Iterable)
    return body, {"Content-Type": "application/x-tar"}
