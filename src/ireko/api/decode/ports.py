"""Ports as docker writes them: `80/tcp`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ireko.api.decode.bodies import PortBinding
from ireko.api.decode.numbers import whole
from ireko.errors import InvalidInput
from ireko.model.container import PortMapping

_PROTOCOLS = {"tcp", "udp"}
HIGHEST = 0xFFFF
"""Of all ports."""


def exposed(written: Iterable[str]) -> Iterator[str]:
    """Exposed ports in one spelling. Raises InvalidInput."""
    for text in written:
        port, protocol = _port(text)
        yield f"{port}/{protocol}"


def mappings(bindings: Mapping[str, list[PortBinding] | None]) -> Iterator[PortMapping]:
    """Each binding of each port; a port without bindings gets a free one. Raises InvalidInput."""
    for text, wanted in bindings.items():
        port, protocol = _port(text)
        for binding in wanted or [PortBinding()]:
            yield PortMapping(
                port=port,
                protocol=protocol,
                host_ip=binding.host_ip or "",
                host_port=_host_port(binding.host_port or ""),
            )


def _port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    port = whole(number, HIGHEST)
    if not port:
        raise InvalidInput(f'invalid port "{text}"', hint="a number from 1 to 65535, with /tcp or /udp")
    if protocol not in _PROTOCOLS:
        raise InvalidInput(f'invalid port "{text}": the protocol is "{protocol}"', hint="tcp or udp")
    return port, protocol


def _host_port(text: str) -> int:
    if not text:
        return 0
    port = whole(text, HIGHEST)
    if port is None:
        raise InvalidInput(f'invalid host port "{text}"', hint="a number from 0 (any free one) to 65535")
    return port
