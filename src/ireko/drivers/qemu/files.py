"""The files that a machine keeps in its container's folder. Sockets are named relative to it: QEMU runs there."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ireko.drivers.base import Stdio, Stream

MONITOR = "qmp.sock"
CHANNEL = "ssh.sock"
TERMINAL = "tty.sock"
EVENTS = "ctl.log"
STDOUT = "stdout.log"
STDERR = "stderr.log"
CONSOLE = "console.log"
HYPERVISOR = "qemu.log"
RECORD = "machine.json"
VARIABLES = "uefi-variables"
"""What a machine that boots by UEFI has its firmware remember, over all runs."""

OF_ONE_RUN = (MONITOR, CHANNEL, TERMINAL, EVENTS, CONSOLE, HYPERVISOR, RECORD)
"""What belongs to one run alone: it is gone when the next one starts."""


def outputs(directory: Path, stdio: Stdio) -> tuple[tuple[Stream, Path], ...]:
    """The files that the main process's output is appended to, over all runs."""
    stdout = (Stream.STDOUT, directory / STDOUT)
    if stdio in {Stdio.TTY, Stdio.CONSOLE}:
        return (stdout,)
    return (stdout, (Stream.STDERR, directory / STDERR))


def share_socket(tag: str) -> str:
    """The socket between QEMU and the process that serves a shared folder."""
    return f"{tag}.sock"


def remove_run(directory: Path) -> None:
    """Remove what one run left."""
    for name in OF_ONE_RUN:
        (directory / name).unlink(missing_ok=True)
    for path in directory.glob("fs-*.sock"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of a socket that always fits: a socket's path must have less than 108 bytes, ours may be anywhere."""
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def listen(path: Path) -> socket.socket:
    """A listening unix socket, private to its owner. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # the mode is set before anyone can connect: a socket that does not listen yet refuses
        with short_path(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen(4)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """A connection to a unix socket, non-blocking from then on. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # a local connection is made or refused at once, unless the queue of the listener is full
        connection.settimeout(2)
        with short_path(path) as name:
            connection.connect(name)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection
