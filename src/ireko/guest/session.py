"""One program that runs over the guest channel: an SSH session, its streams and its exit code."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import AsyncIterator

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR

from ireko.errors import GuestFailed, Unsupported

_HELD = 256 * 1024  # bytes that wait for a reader before the guest has to
# what SSH has names for (RFC 4254, 6.10)
_SIGNALS = frozenset(
    {"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"},
)
_NUMBERS = {known.name.removeprefix("SIG"): known.value for known in signal.Signals}


class Session(asyncssh.SSHClientSession[bytes]):
    """A running program. Its output waits here, in the order it came, until it is read."""

    def __init__(self, guest: str) -> None:
        self._guest = guest
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._pieces: deque[tuple[bool, bytes]] = deque()
        self._held = 0
        self._reading_paused = False
        self._arrived = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._input_open = True
        self._exit_code: int | None = None
        self._finished = asyncio.Event()
        self._lost: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Called by the library."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Called by the library."""
        self._pieces.append((datatype == EXTENDED_DATA_STDERR, data))
        self._held += len(data)
        if self._held > _HELD and not self._reading_paused and self._channel is not None:
            self._reading_paused = True
            self._channel.pause_reading()
        self._arrived.set()

    def exit_status_received(self, status: int) -> None:
        """Called by the library."""
        self._exit_code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """Called by the library."""
        del core_dumped, msg, lang
        self._exit_code = 128 + _NUMBERS.get(signal, 0)

    def pause_writing(self) -> None:
        """Called by the library."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Called by the library."""
        self._may_write.set()

    def eof_received(self) -> bool:
        """Called by the library: our side stays open."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the library when the program has ended, or the guest has."""
        self._lost = exc
        self._finished.set()
        self._arrived.set()
        self._may_write.set()

    async def output(self) -> AsyncIterator[tuple[bool, bytes]]:
        """Pieces of the output as they come, True with those of standard error, until both end."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._took(len(piece[1]))
                yield piece
            if self._finished.is_set():
                self._raise_lost()
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def write(self, data: bytes) -> None:
        """Write to the standard input; waits while there is no room. Raises GuestFailed when the program has ended."""
        if self._finished.is_set() or self._channel is None or not self._input_open:
            raise GuestFailed(f'the program in "{self._guest}" takes no more input')
        self._channel.write(data)
        await self._may_write.wait()
        self._raise_lost()

    def close_input(self) -> None:
        """End the standard input."""
        if self._input_open and self._channel is not None and not self._finished.is_set():
            self._channel.write_eof()
        self._input_open = False

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal a new size."""
        if self._channel is not None and not self._finished.is_set():
            self._channel.change_terminal_size(columns, rows)

    def signal(self, number: int) -> None:
        """Send a signal; to a program that has ended, none. Raises Unsupported for one that SSH has no name for."""
        name = _name_of(number)
        if name not in _SIGNALS:
            raise Unsupported(f'signal "{name or number}" can\'t be sent to a program over the guest channel')
        if self._channel is not None and not self._finished.is_set():
            self._channel.send_signal(name)

    async def wait(self) -> int:
        """The exit code, when the program has ended."""
        await self._finished.wait()
        self._raise_lost()
        if self._exit_code is None:
            raise GuestFailed(f'"{self._guest}" did not say how the program ended')
        return self._exit_code

    async def close(self) -> None:
        """End the program when it still runs, and let go of it."""
        if self._channel is None or self._finished.is_set():
            return
        if self._exit_code is None:
            self._channel.send_signal("KILL")
        self._pieces.clear()
        self._channel.close()
        # what is still coming must flow for the closing to be seen
        self._took(self._held)
        await self._channel.wait_closed()

    def _took(self, count: int) -> None:
        self._held -= count
        if self._reading_paused and self._held <= _HELD // 2 and self._channel is not None:
            self._reading_paused = False
            self._channel.resume_reading()

    def _raise_lost(self) -> None:
        if self._finished.is_set() and self._lost is not None:
            raise GuestFailed(f'the connection to "{self._guest}" broke: {self._lost}') from self._lost


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return ""
