"""What the toy guest's programs read and write: pipes, appended files, terminals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_ROOM = 256 * 1024  # bytes that a pipe holds before its writer waits
_INTERRUPT, _END, _ERASE, _RETURN = 0x03, 0x04, 0x7F, 0x0D
_SIGINT = 2


class Sink(Protocol):
    """Where output goes. `write` raises BrokenPipeError when nobody reads it any more."""

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more."""


class Pipe:
    """Bytes from a writer to a reader."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed = False
        self._broken = False
        self._changed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises BrokenPipeError."""
        while self._size >= _ROOM and not self._broken:
            await self._change()
        if self._broken or self._closed:
            raise BrokenPipeError
        if data:
            self._pieces.append(data)
            self._size += len(data)
            self._wake()

    async def read(self) -> bytes:
        """What has come; nothing when it has ended."""
        while not self._pieces and not self._closed:
            await self._change()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._wake()
        return data

    def close(self) -> None:
        """The writer has ended. May be repeated."""
        self._closed = True
        self._wake()

    def reopen(self) -> None:
        """A terminal goes on after its end of input was read."""
        self._closed = False

    def abandon(self) -> None:
        """The reader has gone."""
        self._broken = True
        self.close()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()


class Input:
    """A program's standard input: by pieces or by lines. Shared by a shell and the programs it runs."""

    def __init__(self, source: Pipe | None = None) -> None:
        self._source = source
        self._kept = b""

    async def piece(self) -> bytes:
        """What is there; nothing at the end."""
        kept, self._kept = self._kept, b""
        if kept or self._source is None:
            return kept
        return await self._source.read()

    def give_back(self, data: bytes) -> None:
        """Put something in front of what comes next."""
        self._kept = data + self._kept

    async def line(self) -> bytes:
        """The next line with its newline; what is left of one, or nothing, at the end."""
        begun = b""
        while b"\n" not in begun and (data := await self.piece()):
            begun += data
        line, newline, self._kept = begun.partition(b"\n")
        return line + newline


class AppendedFile:
    """A host file that output is appended to; `grown` is called after each piece."""

    def __init__(self, path: Path, grown: Callable[[], None]) -> None:
        self._path = path
        self._grown = grown

    async def write(self, data: bytes) -> None:
        """See Sink."""
        with self._path.open("ab") as file:
            file.write(data)
        self._grown()


class Nowhere:
    """/dev/null."""

    async def write(self, data: bytes) -> None:
        """See Sink."""


class Terminal:
    """A terminal's line discipline: what is typed is echoed and edited in lines, what is written gets carriage returns.

    `signal` is called with the number that a typed control character stands for.
    """

    def __init__(self, screen: Sink, *, size: tuple[int, int] = (24, 80)) -> None:
        self.size = size
        self.echo = True
        self.signal: Callable[[int], None] = lambda number: None
        self._screen = screen
        self._typed = Pipe()
        self._line = bytearray()
        self.input = TerminalInput(self._typed)

    async def write(self, data: bytes) -> None:
        """Show a program's output."""
        await self._screen.write(data.replace(b"\n", b"\r\n"))

    async def type(self, data: bytes) -> None:
        """Take what a person types."""
        for byte in data:
            await self._key(b"\n"[0] if byte == _RETURN else byte)

    def hang_up(self) -> None:
        """Nobody types any more."""
        self._typed.close()

    async def _key(self, byte: int) -> None:
        if byte == _INTERRUPT:
            self._line.clear()
            await self._show(b"^C\n")
            self.signal(_SIGINT)
        elif byte == _END:
            await self._hand_over(end=not self._line)
        elif byte == _ERASE:
            if self._line:
                self._line.pop()
                await self._show(b"\b \b")
        else:
            self._line.append(byte)
            await self._show(bytes((byte,)))
            if byte == b"\n"[0]:
                await self._hand_over(end=False)

    async def _hand_over(self, *, end: bool) -> None:
        line = bytes(self._line)
        self._line.clear()
        await self._typed.write(line)
        if end:
            self._typed.close()

    async def _show(self, data: bytes) -> None:
        if self.echo:
            await self.write(data)


class TerminalInput(Input):
    """A terminal's input: who reads its end may read on, as the next program does."""

    def __init__(self, typed: Pipe) -> None:
        super().__init__(typed)
        self._typed = typed

    async def piece(self) -> bytes:
        """See Input."""
        data = await super().piece()
        if not data:
            self._typed.reopen()
        return data
