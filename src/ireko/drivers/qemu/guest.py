"""What the engine may do in a guest, over the guest channel."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from ireko.drivers.base import Command, FileEntry, Guest, GuestProcess, Stdio, Stream
from ireko.drivers.qemu import listing
from ireko.errors import GuestFailed, NotFound
from ireko.guest import scripts
from ireko.guest.channel import Channel

if TYPE_CHECKING:
    from ireko.guest.session import Session

_log = logging.getLogger(__name__)
_TERMINALS = {Stdio.TTY: "/dev/hvc0", Stdio.CONSOLE: "/dev/ttyS0"}
_CHANGED = 1  # tar's exit code when a file changed while it was read


class ScriptFailed(GuestFailed):
    """A script of ours ended with an exit code that is not 0."""

    def __init__(self, message: str, *, code: int, details: str) -> None:
        super().__init__(message, details=details)
        self.code = code


class Program(GuestProcess):
    """A program that runs in a guest."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def write(self, data: bytes) -> None:
        await self._session.write(data)

    async def close_input(self) -> None:
        self._session.close_input()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        async for is_error, data in self._session.output():
            yield Stream.STDERR if is_error else Stream.STDOUT, data

    async def resize(self, rows: int, columns: int) -> None:
        self._session.resize(rows, columns)

    async def signal(self, number: int) -> None:
        self._session.signal(number)

    async def wait(self) -> int:
        return await self._session.wait()

    async def close(self) -> None:
        await self._session.close()


class QemuGuest(Guest):
    """The guest of one machine."""

    def __init__(self, channel: Channel, *, name: str, stdio: Stdio) -> None:
        self._channel = channel
        self._name = name
        self._stdio = stdio
        self._input: Session | None = None
        self._input_lock = asyncio.Lock()

    async def run(self, command: Command) -> GuestProcess:
        script = scripts.execute(
            user=command.user, workdir=command.workdir, environment=command.environment, argv=command.argv
        )
        return Program(await self._channel.session(script, terminal=command.size if command.tty else None))

    async def archive(self, path: str) -> AsyncIterator[bytes]:
        session = await self._channel.session(scripts.archive(path))
        session.close_input()
        pieces = self._tar_pieces(session, path)
        return _chain([piece async for piece in _first(pieces)], pieces)

    async def unpack(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        session = await self._channel.session(scripts.unpack(path))
        try:
            try:
                async for piece in pieces:
                    await session.write(piece)
            except GuestFailed:  # it ended before its input did: its exit code tells why
                pass
            session.close_input()
            said = b"".join([data async for _, data in session.output()])
            self._check_tar(await session.wait(), path, said)
        finally:
            await session.close()

    async def stat(self, path: str) -> FileEntry:
        try:
            return listing.entry(path, await self.read(scripts.stat(path)))
        except ScriptFailed as error:
            if error.code == scripts.NOTHING_THERE:
                raise self._nothing(path) from error
            raise

    async def listing(self) -> list[FileEntry]:
        return listing.entries(await self.read(scripts.LISTING))

    async def write_input(self, data: bytes) -> None:
        async with self._input_lock:
            if self._input is None:
                self._input = await self._channel.session(scripts.WRITE_INPUT)
            await self._input.write(data)

    async def close_input(self) -> None:
        async with self._input_lock:
            if self._input is not None:
                # everything written must be through before the end is
                self._input.close_input()
                await self._input.wait()
                self._input = None
            await self._set_off(scripts.CLOSE_INPUT)

    async def resize(self, rows: int, columns: int) -> None:
        if terminal := _TERMINALS.get(self._stdio):
            await self._do(scripts.resize(terminal, rows, columns))

    async def signal(self, number: int) -> None:
        await self._set_off(scripts.signal(number))

    async def sync(self) -> None:
        await self._do(scripts.SYNC)

    async def read(self, script: str) -> str:
        """Run a script and return what it wrote. Raises GuestFailed when it fails."""
        return await self._read(await self._channel.session(script), script)

    async def _read(self, session: Session, script: str) -> str:
        try:
            session.close_input()
            said = [(is_error, data) async for is_error, data in session.output()]
            code = await session.wait()
        finally:
            await session.close()
        if code:
            words = b"".join(data for is_error, data in said if is_error).decode(errors="replace").strip()
            raise ScriptFailed(
                f'"{self._name}" could not do what was asked: {words or f"exit code {code}"}', code=code, details=script
            )
        return b"".join(data for is_error, data in said if not is_error).decode(errors="surrogateescape")

    async def _do(self, script: str) -> None:
        await self.read(script)

    async def _set_off(self, script: str) -> None:
        """Run a script that may bring about the guest's end, before it can tell of its own."""
        session = await self._channel.session(script)
        try:
            await self._read(session, script)
        except ScriptFailed:
            raise
        except GuestFailed:
            _log.debug('"%s" ended while it was told to', self._name)

    async def _tar_pieces(self, session: Session, path: str) -> AsyncGenerator[bytes, None]:
        said = b""
        try:
            async for is_error, data in session.output():
                if is_error:
                    said = (said + data)[-4096:]
                else:
                    yield data
            self._check_tar(await session.wait(), path, said, may_be=_CHANGED)
        finally:
            await session.close()

    def _nothing(self, path: str) -> NotFound:
        return NotFound(f'there is no "{path}" in "{self._name}"')

    def _check_tar(self, code: int, path: str, said: bytes, *, may_be: int = 0) -> None:
        if code == scripts.NOTHING_THERE:
            raise self._nothing(path)
        if code not in {0, may_be}:
            words = said.decode(errors="replace").strip()
            raise GuestFailed(f'tar failed in "{self._name}" at "{path}": {words or f"exit code {code}"}')


async def _first(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        return


async def _chain(first: list[bytes], rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    # who stops reading has the program ended at once, not when the generator is forgotten
    async with contextlib.aclosing(rest):
        for piece in first:
            yield piece
        async for piece in rest:
            yield piece
