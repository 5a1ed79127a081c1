"""The real server on a unix socket, around the real engine on the fake driver."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ireko.api.server import ApiServer
from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost
from ireko.engine.engine import Engine


@dataclass
class Daemon:
    """An engine that is being served. `stopped` is set when a client has asked it to end."""

    engine: Engine
    socket: Path
    stopped: asyncio.Event

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.socket))


@dataclass
class Answered:
    status: int
    headers: Any
    body: Any


class Http:
    """Requests with JSON bodies in the current API version."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def __call__(self, method: str, path: str, body: object = None, /, **query: str) -> Answered:
        async with self.session.request(method, f"http://d{path}", json=body, params=query) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Answered(response.status, response.headers, await response.json() if is_json else text)

    async def create(self, *command: str, image: str = "nano", name: str = "", **more: object) -> str:
        body = {"Image": image, "Cmd": list(command), **more}
        answered = await self("POST", "/containers/create", body, **({"name": name} if name else {}))
        assert answered.status == 201, answered.body
        identifier: str = answered.body["Id"]
        return identifier

    async def run(self, *command: str, **more: Any) -> str:
        identifier = await self.create(*command, **more)
        answered = await self("POST", f"/containers/{identifier}/start")
        assert answered.status == 204, answered.body
        return identifier

    async def output(self, ref: str) -> str:
        """What a container without a terminal wrote, once it has ended."""
        await self("POST", f"/containers/{ref}/wait")
        answered = await self.session.get(f"http://d/containers/{ref}/logs?stdout=1&stderr=1")
        from ireko.model.framing import FrameDecoder

        return b"".join(data for _, data in FrameDecoder().feed(await answered.read())).decode()


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Daemon]:
    """A daemon on the root in a folder, whose path is short, as a socket's must be."""
    host = FakeHost()
    engine = await Engine.open(root=folder / "root", driver=FakeDriver(host), recipes=FakeBook())
    stopped = asyncio.Event()
    try:
        async with ApiServer(engine, hosts=[f"unix://{folder / 's'}"], on_stop=stopped.set):
            yield Daemon(engine, folder / "s", stopped)
    finally:
        await engine.close()
        await host.cut_power()


@contextlib.asynccontextmanager
async def talking(daemon: Daemon) -> AsyncIterator[Http]:
    """Requests to a daemon."""
    connector = aiohttp.UnixConnector(path=str(daemon.socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Http(session)


@pytest.fixture
async def daemon(base_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    folder = tmp_path_factory.mktemp("d")
    shutil.copytree(base_root, folder / "root")
    async with serving(folder) as made:
        yield made


@pytest.fixture
async def http(daemon: Daemon) -> AsyncIterator[Http]:
    async with talking(daemon) as made:
        yield made


@pytest.fixture
async def far(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """Another daemon, that has nothing yet."""
    async with serving(tmp_path_factory.mktemp("f")) as made:
        yield made


@pytest.fixture
async def far_http(far: Daemon) -> AsyncIterator[Http]:
    async with talking(far) as made:
        yield made
