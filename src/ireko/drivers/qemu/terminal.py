"""Typing on a machine's terminal: the socket whose other end is the guest's console."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from ireko.drivers.qemu import files
from ireko.errors import Conflict


class Terminal:
    """A connection to the terminal's socket, made when it is first needed. What the guest writes is read from the file."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._lock = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._drain: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """Type; returns when there is room for more. Raises Conflict when nobody is there any more."""
        async with self._lock:
            try:
                if self._writer is None:
                    self._writer = await self._open()
                self._writer.write(data)
                await self._writer.drain()
            except OSError as error:
                await self.close()
                raise Conflict(f'the terminal of "{self._name}" can\'t be reached: {error}') from error

    async def close(self) -> None:
        """Hang up. May be repeated."""
        writer, drain, self._writer, self._drain = self._writer, self._drain, None, None
        if drain is not None:
            drain.cancel()
            await asyncio.wait([drain])
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _open(self) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_unix_connection(sock=files.connect(self._path))
        # unread, it would stop the guest
        self._drain = asyncio.create_task(_discard(reader))
        return writer


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass
