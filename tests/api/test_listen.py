"""Where the server listens, and who is let in."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from ireko.api.listen import listen
from ireko.api.server import ApiServer
from ireko.client import Client
from ireko.client.address import Address
from ireko.client.transport import HttpTransport
from ireko.errors import Conflict, Denied, InvalidInput, IrekoError, Unavailable, Unsupported

from .conftest import Daemon, Http


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("l")  # short, as a socket's path must be


class TestUnix:
    def test_it_is_private_and_goes_with_the_listener(self, folder: Path) -> None:
        listener = listen(f"unix://{folder}/deep/s")
        assert stat.S_IMODE((folder / "deep").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "deep" / "s").stat().st_mode) == 0o600
        listener.close()
        listener.close()
        assert list((folder / "deep").iterdir()) == []

    def test_one_left_behind_is_replaced(self, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(folder / "s"))
        listen(f"unix://{folder}/s").close()

    def test_one_that_answers_is_not(self, folder: Path) -> None:
        first = listen(f"unix://{folder}/s")
        with pytest.raises(Conflict, match="another program listens"):
            listen(f"unix://{folder}/s")
        first.close()

    def test_one_that_somebody_else_has_by_now_is_left(self, folder: Path) -> None:
        listener = listen(f"unix://{folder}/s")
        (folder / "s").unlink()
        (folder / "s").write_text("another's")
        listener.close()
        assert (folder / "s").read_text() == "another's"


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("/run/x.sock", InvalidInput),
        ("tcp://127.0.0.1", InvalidInput),
        ("tcp://127.0.0.1:http", InvalidInput),
        ("tcp://127.0.0.1:70000", InvalidInput),
        ("tcp://example.com:80", InvalidInput),
        ("tcp://0.0.0.0:0", Denied),
        ("tcp://192.0.2.1:0", Denied),
        ("tcp://[::]:0", Denied),
        ("npipe:////./pipe/x", Unsupported),
        ("unix:///proc/no/such/folder/s", Unavailable),
        ("unix:///" + "x" * 200, InvalidInput),
    ],
)
def test_addresses_that_are_refused(host: str, kind: type[IrekoError]) -> None:
    with pytest.raises(kind):
        listen(host)


def test_a_file_is_not_replaced(folder: Path) -> None:
    (folder / "s").write_text("mine")
    with pytest.raises(Conflict, match="is no socket"):
        listen(f"unix://{folder}/s")


class TestTcp:
    @pytest.fixture
    async def ask(self, daemon: Daemon) -> Callable[..., object]:
        """Asks the daemon on a port of its own; the status."""

        async def asked(**headers: str) -> int:
            async with (
                ApiServer(daemon.engine, hosts=["tcp://127.0.0.1:0"], on_stop=lambda: None) as server,
                aiohttp.ClientSession() as session,
                session.get(f"http{server.addresses[0].removeprefix('tcp')}/info", headers=headers) as response,
            ):
                return response.status

        return asked

    async def test_it_serves(self, ask) -> None:
        assert await ask() == 200

    @pytest.mark.parametrize("host", ["localhost", "localhost:2375", "127.0.0.1:1", "[::1]:2375", "[::1]"])
    async def test_its_own_names(self, ask, host: str) -> None:
        assert await ask(Host=host) == 200

    @pytest.mark.parametrize("host", ["example.com", "example.com:2375", "localhost.example.com", "192.0.2.1"])
    async def test_another_s_name_is_a_web_page_s(self, ask, host: str) -> None:
        assert await ask(Host=host) == 403

    async def test_our_own_client_is_let_in(self, daemon: Daemon) -> None:
        async with ApiServer(daemon.engine, hosts=["tcp://127.0.0.1:0"], on_stop=lambda: None) as server:
            client = Client(HttpTransport(Address.parse(server.addresses[0])))
            assert (await asyncio.to_thread(client.system.info))["OSType"] == "linux"

    async def test_origins(self, ask) -> None:
        assert await ask(Origin="http://localhost") == 403

    async def test_a_port_that_is_taken(self, daemon: Daemon) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Conflict):
            listen(f"tcp://127.0.0.1:{taken.getsockname()[1]}")


async def test_streams_end_with_the_server(daemon: Daemon, http: Http, folder: Path) -> None:
    ref = await http.run("sleep", "1000")
    async with ApiServer(daemon.engine, hosts=[f"unix://{folder}/s"], on_stop=lambda: None):
        connector = aiohttp.UnixConnector(path=str(folder / "s"))
        session = aiohttp.ClientSession(connector=connector)
        events = await session.get("http://d/events")
        following = await session.get(f"http://d/containers/{ref}/logs?stdout=1&follow=1")
        reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
        writer.write(b"POST /containers/%b/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n" % ref.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(30):
        for response in (events, following):
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        await reader.read()
    writer.close()
    await session.close()
