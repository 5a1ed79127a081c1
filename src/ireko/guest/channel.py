"""The guest channel: one SSH connection to a guest, made when it is first needed and shared by all who reach in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ireko.errors import GuestFailed, TimedOut
from ireko.guest.identity import Identity

if TYPE_CHECKING:  # the SSH library takes longer to import than a daemon to start
    import asyncssh

    from ireko.guest.session import Session

_PATIENCE = 300.0  # seconds; a full system without hardware acceleration takes up to 60 to come up, on a busy host more
_TRIES = 3
_FIRST_WAIT = 2.0
"""Seconds in which a guest that is up answers, mostly."""


class Channel:
    """The way into one guest.

    `dial` opens the byte stream that leads into the guest; `keys` is the folder of its `Identity`; `last_words` says what
    the guest last wrote on its console, for the error when it does not answer within `patience` seconds.
    """

    def __init__(
        self,
        *,
        name: str,
        dial: Callable[[], socket.socket],
        keys: Path,
        last_words: Callable[[], str],
        patience: float = _PATIENCE,
    ) -> None:
        self._name = name
        self._dial = dial
        self._keys = keys
        self._last_words = last_words
        self._patience = patience
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._gone = ""

    @property
    def connected(self) -> bool:
        """Whether the guest can be reached without waiting for it to come up."""
        return self._connection is not None and not self._connection.is_closed()

    async def session(self, script: str, *, terminal: tuple[int, int] | None = None) -> Session:
        """Run a script in the guest, on a terminal of so many rows and columns when that is given.

        Raises GuestFailed; TimedOut when the guest does not come up in time.
        """
        reused = self.connected
        try:
            return await self._session(script, terminal)
        except GuestFailed:
            # the connection may have been dead for long: a new one is worth a try
            if not reused or self.connected or self._gone:
                raise
        return await self._session(script, terminal)

    def end(self, reason: str) -> None:
        """The guest is gone: whoever waits is told at once, and whoever asks from now on."""
        self._gone = reason
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def close(self) -> None:
        """Let go of the guest. May be repeated."""
        opening, connection = self._opening, self._connection
        self.end(self._gone or f'the guest channel of "{self._name}" is closed')
        if opening is not None:
            await asyncio.wait([opening])
        if connection is not None:
            await connection.wait_closed()

    async def _session(self, script: str, terminal: tuple[int, int] | None) -> Session:
        import asyncssh

        from ireko.guest.session import Session

        connection = await self._connected()
        try:
            _, session = await connection.create_session(
                lambda: Session(self._name),
                script,
                encoding=None,
                request_pty="force" if terminal else False,
                term_type="xterm" if terminal else None,
                term_size=(terminal[1], terminal[0]) if terminal else (),
            )
        except (asyncssh.Error, OSError) as error:
            raise GuestFailed(self._gone or f'"{self._name}" could not start a program: {error}') from error
        assert isinstance(session, Session)
        return session

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._gone:
            raise GuestFailed(self._gone)
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        # waiting so, one who gives up takes nothing from the others
        await asyncio.wait([opening])
        if opening.cancelled():
            raise GuestFailed(self._gone)
        return opening.result()

    async def _open(self) -> asyncssh.SSHClientConnection:
        try:
            async with asyncio.timeout(self._patience):
                return await self._try_open()
        except TimeoutError as error:
            raise TimedOut(
                f'the guest "{self._name}" did not answer within {self._patience:g} seconds',
                details=self._last_words(),
                hint="see what it says: ireko logs",
            ) from error

    async def _try_open(self) -> asyncssh.SSHClientConnection:
        from ireko.guest import ssh

        identity, tries, wait = Identity.load(self._keys), 0, _FIRST_WAIT
        while True:
            try:
                return await ssh.connect(self._dial(), name=self._name, identity=identity, patience=wait)
            except ssh.Silent:
                # A guest that stood still, or was slow, while another daemon's connection ended and ours began has seen neither,
                # and still waits for the other daemon: it is shown another end, and given time to see it. Longer each time, as it
                # may be that there is no server yet, or one that is slower than we wait.
                await asyncio.sleep(wait / 20)
                wait *= 2
            except ssh.HungUp:
                # a server that was still busy with a connection before ours
                tries += 1
                if tries == _TRIES:
                    raise
            except OSError as error:
                raise GuestFailed(f'the guest channel of "{self._name}" could not be opened: {error}') from error

    def _opened(self, opening: asyncio.Task[asyncssh.SSHClientConnection]) -> None:
        self._opening = None
        # asking for the error also marks it as seen, should nobody be left who waits
        if not opening.cancelled() and opening.exception() is None:
            self._connection = opening.result()
