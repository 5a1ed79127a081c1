"""Published ports: choosing free ones, and telling why one can't be had."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
from collections.abc import Iterable

from ireko.errors import Conflict, Denied, InvalidInput, IrekoError, Unsupported
from ireko.model.container import PortMapping

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def choose(ports: Iterable[PortMapping]) -> tuple[PortMapping, ...]:
    """The ports with their host ports filled in; all of them were free a moment ago.

    Raises Conflict (taken), Denied, InvalidInput (no such address here), Unsupported.
    """
    with contextlib.ExitStack() as held:
        # all are held until all are chosen, so that none is given out twice
        return tuple(_choose(port, held) for port in ports)


def check(ports: Iterable[PortMapping]) -> None:
    """Raises Unsupported for a port that QEMU can't publish."""
    for port in ports:
        if port.protocol not in _KINDS:
            raise Unsupported(f'the port "{port.key}" can\'t be published: only tcp and udp can')
        if ":" in port.host_ip:
            raise Unsupported(
                f'the port "{port.key}" can\'t be published on "{port.host_ip}": user-mode networking listens on IPv4 alone'
            )


def _choose(port: PortMapping, held: contextlib.ExitStack) -> PortMapping:
    check((port,))
    holder = held.enter_context(socket.socket(socket.AF_INET, _KINDS[port.protocol]))
    if port.protocol == "tcp":
        # as QEMU does: a port whose last connections still linger is free. For udp it would share the port instead.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((port.host_ip, port.host_port))
    except OSError as error:
        raise _refusal(port, error) from error
    chosen: int = holder.getsockname()[1]
    return dataclasses.replace(port, host_port=chosen)


def _refusal(port: PortMapping, error: OSError) -> IrekoError:
    where = f"{port.host_ip or '0.0.0.0'}:{port.host_port}"  # noqa: S104 - docker's words for it
    match error.errno:
        case errno.EADDRINUSE:
            return taken(port)
        case errno.EACCES | errno.EPERM:
            return Denied(
                f"Bind for {where} failed: only root may publish ports below "
                "the number in net.ipv4.ip_unprivileged_port_start",
                hint="publish a port above 1023 instead",
            )
        case _:
            return InvalidInput(f"Bind for {where} failed: {error.strerror or error}")


def taken(port: PortMapping) -> Conflict:
    """The error for a port that somebody else has."""
    where = f"{port.host_ip or '0.0.0.0'}:{port.host_port}"  # noqa: S104 - docker's words for it
    return Conflict(
        f"Bind for {where} failed: port is already allocated",
        hint=f"publish another one, or stop what listens on it: ss -lptn 'sport = :{port.host_port}'",
    )
