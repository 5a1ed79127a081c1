"""Running a program in a guest that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clock import milliseconds
from benchmarks.daemon import Daemon
from benchmarks.figure import Figure, Over, Sides
from ireko.guest.identity import Identity

if TYPE_CHECKING:
    import asyncssh

_PROGRAM = "true"
_PATIENCE = 300.0  # seconds


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    # A guest's channel serves one connection, and the daemon keeps its own: the peer has another guest of the same kind.
    ours, peer = daemon.start("sleep", "100000"), daemon.start("sleep", "100000")
    try:
        with asyncio.Runner() as runner:
            connection = runner.run(_log_in(daemon.folder(peer)))
            yield Sides(
                lambda: milliseconds(lambda: daemon.execute(ours, _PROGRAM)),
                lambda: milliseconds(lambda: runner.run(_session(connection))),
            )
            connection.abort()
            runner.run(connection.wait_closed())
    finally:
        daemon.remove(ours)
        daemon.remove(peer)


async def _log_in(folder: Path) -> asyncssh.SSHClientConnection:
    """A connection to the guest of a container's folder, which nobody else is connected to."""
    from ireko.drivers.qemu.files import CHANNEL, connect
    from ireko.guest import ssh

    stream, identity = connect(folder / CHANNEL), Identity.load(folder)
    return await ssh.connect(stream, name=folder.name, identity=identity, patience=_PATIENCE)


async def _session(connection: asyncssh.SSHClientConnection) -> None:
    await connection.run(f"ireko-exec '' '' -- {_PROGRAM}", check=True)


FIGURE = Figure(
    name="exec",
    about=f"`{_PROGRAM}` in a running guest, over the API, beside a bare asyncssh session on a guest of the same kind",
    unit="ms",
    goal=Over(50),
    ready=_ready,
    guests=True,
    repetitions=15,
    warm_up=2,
)
