"""Published ports as they are written: `8080:80`, `127.0.0.1:53:53/udp`, `8000-8002:80-82`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ireko.errors import InvalidInput

_PORT = re.compile(
    r"(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):(?=[^:]*:))?(?:(?P<host>\d+(?:-\d+)?)?:)?"
    r"(?P<guest>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp))?"
)
_LAST = 65535


def bindings(words: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """The guest's ports and where each is published; HostPort "" is a free one. Raises InvalidInput."""
    found: dict[str, list[dict[str, str]]] = {}
    for word in words:
        for key, bound in _one(word):
            found.setdefault(key, []).append(bound)
    return found


def _one(word: str) -> list[tuple[str, dict[str, str]]]:
    match = _PORT.fullmatch(word)
    if match is None:
        raise InvalidInput(f'invalid port "{word}"', hint="write [ip:]host:guest[/tcp], like -p 8080:80")
    guest, host = _range(match["guest"], word), _range(match["host"], word)
    if host and len(host) != len(guest) and len(guest) != 1:
        raise InvalidInput(f'invalid ranges in "{word}": {len(host)} ports of the host for {len(guest)} of the guest')
    address = (match["ip"] or "").strip("[]")
    protocol = match["protocol"] or "tcp"
    if len(guest) == 1:
        return [(f"{guest[0]}/{protocol}", {"HostIp": address, "HostPort": match["host"] or ""})]
    ours = [str(port) for port in host] or [""] * len(guest)
    return [
        (f"{port}/{protocol}", {"HostIp": address, "HostPort": published})
        for port, published in zip(guest, ours, strict=True)
    ]


def _range(text: str | None, word: str) -> list[int]:
    if not text:
        return []
    first, _, last = text.partition("-")
    ports = list(range(int(first), int(last or first) + 1)) if max(len(first), len(last)) < 6 else []
    if not ports or ports[-1] > _LAST:
        raise InvalidInput(f'invalid port "{text}" in "{word}"', hint="ports go from 1 to 65535")
    return ports
