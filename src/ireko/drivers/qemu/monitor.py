"""A connection to QEMU's monitor (QMP)."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from typing import cast

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, Message, QMPClient, QMPError, Runstate
from qemu.qmp.protocol import ConnectError, StateError

from ireko.errors import Conflict, IrekoError, Unavailable

Event = Mapping[str, object]


class Refused(IrekoError):
    """QEMU said no to a command."""


class _Forward(EventListener):
    """Hands events on as they come; the library's own listeners keep them all."""

    def __init__(self, heard: Callable[[Event], None]) -> None:
        super().__init__()
        self._heard = heard

    def accept(self, event: Message) -> bool:
        self._heard(event)
        return False


class Monitor:
    """A monitor that answers. Commands of several callers may be under way at once."""

    def __init__(self, client: QMPClient, name: str) -> None:
        self._client = client
        self._name = name

    @classmethod
    async def open(cls, connection: socket.socket, *, name: str, heard: Callable[[Event], None]) -> Monitor:
        """Greet QEMU; when this returns, QEMU has set its machine up and runs it. `name` is for error messages.

        Takes over the connection. Raises Unavailable when QEMU hangs up or does not speak the protocol.
        """
        client = QMPClient()
        client.logger = _silent
        client.events.event_filter = _none
        client.register_listener(_Forward(heard))
        try:
            await client.connect(connection)
        except ConnectError as error:
            connection.close()
            raise Unavailable(f'QEMU did not answer for "{name}": {error.exc}') from error
        except BaseException:
            connection.close()
            raise
        return cls(client, name)

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Run a command and return its answer. Raises Refused; Conflict when the machine has ended."""
        try:
            return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise Refused(f'QEMU refused "{command}" for "{self._name}": {error.error.error.desc}') from error
        except (ExecInterruptedError, StateError) as error:
            raise Conflict(f'the machine of "{self._name}" is not running') from error

    async def ask(self, command: str) -> dict[str, object]:
        """A command that answers with an object."""
        return cast("dict[str, object]", await self.execute(command))

    async def ask_list(self, command: str, arguments: Mapping[str, object] | None = None) -> list[dict[str, object]]:
        """A command that answers with a list of objects."""
        return cast("list[dict[str, object]]", await self.execute(command, arguments))

    async def close(self) -> None:
        """Hang up. May be repeated."""
        if self._client.runstate is not Runstate.IDLE:
            # what the other side's end looked like is of no interest any more
            with contextlib.suppress(QMPError, EOFError, OSError):
                await self._client.disconnect()


def _none(event: Message) -> bool:
    del event
    return False


# the library tells of each failure twice, as an error and as a line in the log
_silent = logging.getLogger(f"{__name__}.qmp")
_silent.setLevel(logging.CRITICAL + 1)
