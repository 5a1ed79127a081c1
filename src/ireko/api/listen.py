"""Addresses the server listens on, as docker's -H writes them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from ireko.errors import Conflict, Denied, InvalidInput, Unavailable, Unsupported

_BACKLOG = 128
_LONGEST_PATH = 103
"""Bytes of a unix socket's path that every system takes, the ending of the name it is made under included."""


@dataclass
class Listener:
    """A socket that listens. `path` is the unix socket's file."""

    socket: socket.socket
    address: str
    path: Path | None = None
    _inode: int = 0

    def __post_init__(self) -> None:
        if self.path is not None:
            self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Listen no more, and take the socket's file away if it is still ours. May be repeated."""
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            if self.path is not None and self.path.stat().st_ino == self._inode:
                self.path.unlink()


def listen(host: str) -> Listener:
    """Listen on `unix:///path` or `tcp://127.0.0.1:2375`.

    Raises InvalidInput, Denied (an address that others can reach), Conflict (somebody listens there), Unsupported, Unavailable.
    """
    scheme, found, rest = host.partition("://")
    if not found:
        raise InvalidInput(f'"{host}" is no address to listen on', hint="unix:///path or tcp://127.0.0.1:2375")
    if scheme == "unix":
        return _unix(Path(rest))
    if scheme == "tcp":
        return _tcp(host, rest)
    raise Unsupported(f'addresses of the kind "{scheme}" can\'t be listened on here', hint="unix:///path")


def _unix(path: Path) -> Listener:
    if sys.platform == "win32":
        raise Unsupported("this system has no sockets with paths", hint="tcp://127.0.0.1:2375")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise InvalidInput(f'the path of the socket "{path}" is too long', hint=f"at most {_LONGEST_PATH} bytes")
    _check_replaceable(path)
    # It gets its name once it is private and listens: nobody can reach it earlier, and nobody is refused later.
    fresh = path.with_name(f"{path.name}.new")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        made.bind(str(fresh))
        fresh.chmod(0o600)
        made.listen(_BACKLOG)
        made.setblocking(False)
        fresh.replace(path)
    except OSError as error:
        made.close()
        fresh.unlink(missing_ok=True)
        raise Unavailable(f'can\'t listen on "{path}": {error.strerror or error}') from error
    return Listener(made, f"unix://{path}", path)


def _check_replaceable(path: Path) -> None:
    if sys.platform == "win32" or not path.exists():
        return
    if not path.is_socket():
        raise Conflict(f'"{path}" is there already and is no socket', hint="choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left behind by a daemon that was killed
        except OSError as error:
            raise Unavailable(f'can\'t tell whether anybody listens on "{path}": {error.strerror or error}') from error
    raise Conflict(f'another program listens on "{path}"', hint="stop it, or choose another path")


def _tcp(host: str, rest: str) -> Listener:
    name, colon, number = rest.rstrip("/").rpartition(":")
    if not colon or not number.isdigit() or int(number) > 0xFFFF:
        raise InvalidInput(f'"{host}" is no address to listen on', hint="tcp://127.0.0.1:2375")
    name = name.strip("[]")
    address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else _checked(host, name))
    if not address.is_loopback:
        raise Denied(
            f'"{host}" can be reached from other machines: whoever reaches the API owns this one',
            hint="tcp://127.0.0.1:2375, and ssh -L from elsewhere",
        )
    made = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((str(address), int(number)))
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise Conflict(f'can\'t listen on "{host}": {error.strerror or error}') from error
    return Listener(made, f"tcp://{name}:{made.getsockname()[1]}")


def _checked(host: str, name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError as error:
        raise InvalidInput(f'"{host}" has no IP address to listen on', hint="tcp://127.0.0.1:2375") from error
