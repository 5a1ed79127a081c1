"""Being connected to a container's main process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from ireko.drivers.base import Stdio, Stream
from ireko.engine import machines
from ireko.engine.logindex import Place
from ireko.engine.runs import Runs
from ireko.errors import IrekoError
from ireko.model.container import Container


class Attachment(Protocol):
    """A connection to a process in a guest, be it the main one or another."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What it writes, until it ends. To be read once."""

    async def write(self, data: bytes) -> None:
        """Type, or write to its standard input; returns when there is room for more."""

    async def close_input(self) -> None:
        """End its standard input."""

    async def close(self) -> None:
        """Let go of it. May be repeated."""


class MainAttachment:
    """Attached to the main process, from now on; made before the start, its output begins with the start."""

    def __init__(self, runs: Runs, container: Container, *, logs: bool, stream: bool) -> None:
        self._runs = runs
        self._container = container
        self._log = runs.log(container)
        self._place: Place = {} if logs else self._log.place()
        self._ended_before = self._log.runs_ended
        self._stream = stream
        self._stdio = machines.stdio(container)

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See Attachment."""
        if not self._stream:
            for lines in self._log.lines():
                for line in lines:
                    yield line.stream, line.data
            return
        async for piece in self._log.follow(self._place, ended_before=self._ended_before):
            for _, data in self._log.read(piece):
                yield piece.stream, data

    async def write(self, data: bytes) -> None:
        """See Attachment; before the start it waits for it."""
        machine = await self._runs.machine_once_started(self._container)
        if self._stdio is Stdio.STDIN:
            await machine.guest.write_input(data)
        elif self._stdio in {Stdio.TTY, Stdio.CONSOLE}:
            await machine.write_terminal(data)

    async def close_input(self) -> None:
        """See Attachment; what a terminal shows has no end of input but the one that is typed."""
        if self._stdio is not Stdio.STDIN or not self._container.spec.stdin_once:
            return
        with contextlib.suppress(IrekoError):
            machine = await self._runs.machine_once_started(self._container)
            await machine.guest.close_input()

    async def close(self) -> None:
        """See Attachment."""
