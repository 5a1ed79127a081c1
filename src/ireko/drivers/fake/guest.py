"""What the engine may do in a fake guest."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import asyncio
import stat
import tarfile
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from ireko.drivers.base import Command, FileEntry, Guest, GuestProcess, Stdio, Stream
from ireko.drivers.fake import archive
from ireko.drivers.fake.content import Node
from ireko.drivers.fake.lifeline import Lifeline
from ireko.drivers.fake.process import HUP, KILL, WINCH, Process, Streams
from ireko.drivers.fake.streams import Input, Pipe, Terminal
from ireko.drivers.fake.virtual import VirtualMachine
from ireko.errors import GuestFailed, NotFound, TimedOut

_ROOM = 256 * 1024


class Outlet:
    """The output of a program on its way to who reads it."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        self._held = 0
        self._open = True
        self._changed = asyncio.Event()

    async def put(self, stream: Stream, data: bytes) -> None:
        """Returns when there is room for more."""
        while self._held >= _ROOM and self._open:
            self._changed.clear()
            await self._changed.wait()
        if not self._open:
            raise BrokenPipeError
        self._pieces.append((stream, data))
        self._held += len(data)
        self._changed.set()

    async def pieces(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Until it is closed."""
        while self._pieces or self._open:
            while self._pieces:
                piece = self._pieces.popleft()
                self._held -= len(piece[1])
                self._changed.set()
                yield piece
            if self._open:
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        """Nothing more comes."""
        self._open = False
        self._changed.set()


class _Side:
    """One of the two streams that share an outlet."""

    def __init__(self, outlet: Outlet, stream: Stream) -> None:
        self._outlet = outlet
        self._stream = stream

    async def write(self, data: bytes) -> None:
        await self._outlet.put(self._stream, data)


class FakeProcess(GuestProcess):
    """A program that runs in a fake guest."""

    def __init__(self, machine: VirtualMachine, lifeline: Lifeline, command: Command) -> None:
        self._name = machine.spec.name
        self._lifeline = lifeline
        self._outlet = Outlet()
        self._pipe = Pipe()
        stdout, stderr = _Side(self._outlet, Stream.STDOUT), _Side(self._outlet, Stream.STDERR)
        self._terminal = Terminal(stdout, size=command.size) if command.tty else None
        if self._terminal is not None:
            streams = Streams(self._terminal.input, self._terminal, self._terminal, self._terminal)
        else:
            streams = Streams(Input(self._pipe), stdout, stderr)
        system = machine.system
        user = system.user(command.user)
        given = dict(entry.partition("=")[::2] for entry in command.environment)
        self._process: Process = system.spawn(
            command.argv,
            environment=machine.environment(given, user, terminal=command.tty),
            workdir=command.workdir or "/",
            user=user,
            streams=streams,
        )
        if self._terminal is not None:
            self._terminal.signal = self._process.interrupt
        self._process.when_over(self._outlet.close)
        self._process.when_over(lifeline.when_cut(self._hang_up))

    async def write(self, data: bytes) -> None:
        await self._lifeline.check()
        try:
            if self._process.ended:
                raise BrokenPipeError
            await self._process.system.step()
            await (self._terminal.type(data) if self._terminal else self._pipe.write(data))
        except BrokenPipeError as error:
            raise GuestFailed(f'the program in "{self._name}" takes no more input') from error

    async def close_input(self) -> None:
        await self._lifeline.check()
        if self._terminal is None:
            self._pipe.close()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        async for piece in self._outlet.pieces():
            await self._lifeline.check()
            yield piece
        await self._process.wait()
        self._check_guest()

    async def resize(self, rows: int, columns: int) -> None:
        await self._lifeline.check()
        self._check_guest()
        if self._terminal is not None:
            self._terminal.size = (rows, columns)
            self._process.interrupt(WINCH)

    async def signal(self, number: int) -> None:
        await self._lifeline.check()
        self._check_guest()
        self._process.signal(number)

    async def wait(self) -> int:
        code = await self._process.wait()
        await self._lifeline.check()
        self._check_guest()
        return code

    async def close(self) -> None:
        self._outlet.close()
        if not self._process.ended:
            self._process.signal(KILL)
            await self._process.wait()

    def _hang_up(self) -> None:
        self._outlet.close()
        self._process.signal(HUP)

    def _check_guest(self) -> None:
        if self._process.cut:
            raise GuestFailed(f'the machine of "{self._name}" has ended')


class FakeGuest(Guest):
    """The guest of one machine. A paused one answers after `patience` seconds at the latest, with TimedOut."""

    def __init__(self, machine: VirtualMachine, lifeline: Lifeline, *, patience: float) -> None:
        self._machine = machine
        self._lifeline = lifeline
        self._patience = patience

    async def run(self, command: Command) -> GuestProcess:
        await self._reach()
        try:
            return FakeProcess(self._machine, self._lifeline, command)
        except KeyError as error:
            raise GuestFailed(f'unable to find user "{command.user}" in "{self._machine.spec.name}"') from error

    async def archive(self, path: str) -> AsyncIterator[bytes]:
        await self._reach()
        try:
            return _each(archive.pack(self._machine.system.files, path))
        except OSError as error:
            raise self._nothing(path) from error

    async def unpack(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        await self._reach()
        files = self._machine.system.files
        if not files.is_folder(path):
            raise self._nothing(path)
        data = b"".join([piece async for piece in pieces])
        await self._reach()
        try:
            archive.unpack(files, path, data)
        except (tarfile.TarError, OSError) as error:
            raise GuestFailed(f'tar failed in "{self._machine.spec.name}" at "{path}": {error}') from error

    async def stat(self, path: str) -> FileEntry:
        await self._reach()
        try:
            return _entry(path, self._machine.system.files.get(path, last=False), target=True)
        except OSError as error:
            raise self._nothing(path) from error

    async def listing(self) -> list[FileEntry]:
        await self._reach()
        return [_entry(path, node) for path, node in self._machine.system.files.root.items()]

    async def write_input(self, data: bytes) -> None:
        await self._reach()
        self._check_stdio(Stdio.STDIN)
        try:
            await self._machine.input.write(data)
        except BrokenPipeError as error:
            raise GuestFailed(f'"{self._machine.spec.name}" takes no more input') from error

    async def close_input(self) -> None:
        await self._reach()
        self._check_stdio(Stdio.STDIN)
        self._machine.input.close()

    async def resize(self, rows: int, columns: int) -> None:
        await self._reach()
        if self._machine.terminal is not None and self._machine.main is not None:
            self._machine.terminal.size = (rows, columns)
            self._machine.main.interrupt(WINCH)

    async def signal(self, number: int) -> None:
        await self._reach()
        if self._machine.spec.stdio is Stdio.CONSOLE or self._machine.main is None:
            raise GuestFailed(f'"{self._machine.spec.name}" runs a whole system, which takes no signal')
        self._machine.main.signal(number)

    async def sync(self) -> None:
        await self._reach()

    async def freeze(self, paths: Sequence[str]) -> None:
        for path in paths:  # what the toy guest writes is on its disks at once
            await self.stat(path)

    async def _reach(self) -> None:
        """Wait for the guest to come up, and to go on when it stands still."""
        await self._lifeline.check()
        try:
            async with asyncio.timeout(self._patience):
                await self._machine.up.wait()
                await self._machine.system.going.wait()
        except TimeoutError as error:
            raise TimedOut(f'"{self._machine.spec.name}" did not answer within {self._patience:g} seconds') from error
        if self._machine.system.off:
            raise GuestFailed(f'the machine of "{self._machine.spec.name}" has ended')

    def _check_stdio(self, wanted: Stdio) -> None:
        if self._machine.spec.stdio is not wanted:
            raise GuestFailed(f'the main process of "{self._machine.spec.name}" has no {wanted.value}')

    def _nothing(self, path: str) -> NotFound:
        return NotFound(f'there is no "{path}" in "{self._machine.spec.name}"')


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _entry(path: str, node: Node, *, target: bool = False) -> FileEntry:
    size = 4096 if stat.S_ISDIR(node.mode) else node.size
    return FileEntry(path, node.mode, size, node.mtime, node.uid, node.gid, node.target if target else "")
