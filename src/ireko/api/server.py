"""The HTTP server around an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from ireko.api.dispatch import Dispatcher
from ireko.api.hijack import Server
from ireko.api.listen import Listener, listen
from ireko.engine.engine import Engine

_CLOSING = 1.0  # seconds that an answer has to get out when the server closes


class ApiServer:
    """Serves the engine's API on every address of `hosts` while its context lasts.

    `on_stop` is called when a client asks the daemon to end. Entering raises what `listen.listen` raises, and then listens
    nowhere.
    """

    def __init__(self, engine: Engine, *, hosts: Sequence[str], on_stop: Callable[[], None]) -> None:
        self._engine = engine
        self._hosts = hosts
        self._on_stop = on_stop
        self._stack = AsyncExitStack()
        self.addresses: list[str] = []
        """Where it listens, with the port that was taken where port 0 was asked for."""

    async def __aenter__(self) -> Self:
        """Listen."""
        async with AsyncExitStack() as stack:
            dispatcher = Dispatcher(self._engine, stop=self._on_stop)
            server = Server(dispatcher)
            stack.callback(server.hang_ups.close)
            stack.push_async_callback(server.shutdown, _CLOSING)
            stack.callback(server.pre_shutdown)
            stack.push_async_callback(dispatcher.close)
            for host in self._hosts:
                listener = listen(host)
                stack.callback(listener.close)
                await _serve(stack, server, listener)
                self.addresses.append(listener.address)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more, end every stream, let orders come to their end, and close every connection."""
        await self._stack.aclose()


async def _serve(stack: AsyncExitStack, server: Server, listener: Listener) -> None:
    loop = asyncio.get_running_loop()
    if listener.path is not None:
        serving = await loop.create_unix_server(server, sock=listener.socket)
    else:
        serving = await loop.create_server(server, sock=listener.socket)
    stack.callback(serving.close)
