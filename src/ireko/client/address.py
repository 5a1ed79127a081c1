"""Where a daemon listens, as docker's -H writes it."""

from __future__ import annotations

from typing import NamedTuple

from ireko.errors import InvalidInput

_TCP_PORT = 2375


class Address(NamedTuple):
    """`scheme` is unix, tcp or npipe; `path` the socket or pipe; `host` and `port` are for tcp."""

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name if self.scheme == 'tcp' else self.path}"

    @property
    def name(self) -> str:
        """What HTTP's `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.scheme == "tcp" else "ireko"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `unix:///path`, `tcp://host[:port]` or `npipe:////./pipe/name`. Raises InvalidInput."""
        scheme, separator, rest = text.partition("://")
        if not separator or not rest or scheme not in {"unix", "tcp", "npipe"}:
            raise InvalidInput(
                f"the daemon's address \"{text}\" can't be read",
                hint="write unix:///path/to/socket or tcp://127.0.0.1:2375",
            )
        return cls._tcp(text, rest) if scheme == "tcp" else cls(scheme, path=rest)

    @classmethod
    def _tcp(cls, text: str, rest: str) -> Address:
        host, colon, port = rest.rstrip("/").rpartition(":")
        if not colon or port.endswith("]"):
            host, port = rest.rstrip("/"), str(_TCP_PORT)
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidInput(f'the daemon\'s address "{text}" has no port between 1 and 65535, but "{port}"')
        return cls("tcp", host=host.strip("[]"), port=int(port))
