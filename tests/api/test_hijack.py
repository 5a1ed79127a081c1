"""Raw streams at the level of bytes, where clients differ."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from aiohttp import web

from ireko.api.hijack import Server
from ireko.model.container import Status
from ireko.model.framing import STDERR, STDOUT, FrameDecoder, frame

from .conftest import Daemon, Http

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"


def head(method: str, path: str, *, headers: str = UPGRADE, body: bytes = b"") -> bytes:
    lines = f"{method} {path} HTTP/1.1\r\nHost: d\r\n{headers}"
    if body:
        lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return lines.encode() + b"\r\n" + body


def attach(ref: str, *, version: str = "/v1.47", **streams: int) -> str:
    wanted = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1, **streams}
    return f"{version}/containers/{ref}/attach?" + "&".join(f"{key}={value}" for key, value in wanted.items())


async def answer(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    return first, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def unframed(stream: bytes) -> dict[int, bytes]:
    found = {STDOUT: b"", STDERR: b""}
    for number, data in FrameDecoder().feed(stream):
        found[number] += data
    return found


async def test_attach_before_the_start_gets_everything(daemon: Daemon, http: Http) -> None:
    ref = await http.create("sh", "-c", "echo out; echo err >&2")
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref, stdin=0)))
    status, headers = await answer(reader)
    assert status == "HTTP/1.1 101 UPGRADED"
    assert (headers["connection"], headers["upgrade"]) == ("Upgrade", "tcp")
    assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    await http("POST", f"/containers/{ref}/start")
    assert unframed(await reader.read()) == {STDOUT: b"out\n", STDERR: b"err\n"}
    writer.close()


async def test_before_version_1_42_frames_have_no_type_of_their_own(daemon: Daemon, http: Http) -> None:
    ref = await http.create("echo", "hi")
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref, version="/v1.41")))
    _, headers = await answer(reader)
    assert headers["content-type"] == "application/vnd.docker.raw-stream"
    await http("POST", f"/containers/{ref}/start")
    assert await reader.read() == frame(STDOUT, b"hi\n")
    writer.close()


async def test_the_old_style_without_an_upgrade(daemon: Daemon, http: Http) -> None:
    ref = await http.create("cat", OpenStdin=True, StdinOnce=True)
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref), headers="Content-Type: text/plain\r\n"))
    status, headers = await answer(reader)
    assert status == "HTTP/1.1 200 OK"
    assert headers["content-type"] == "application/vnd.docker.raw-stream"
    await http("POST", f"/containers/{ref}/start")
    writer.write(b"typed\n")
    writer.write_eof()
    assert await reader.read() == frame(STDOUT, b"typed\n")
    writer.close()


async def test_the_end_of_input_is_not_the_end_of_output(daemon: Daemon, http: Http) -> None:
    ref = await http.create("sh", "-c", "cat; echo after", OpenStdin=True, StdinOnce=True)
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref)))
    await answer(reader)
    await http("POST", f"/containers/{ref}/start")
    writer.write(b"one\ntwo\n")
    writer.write_eof()
    assert unframed(await reader.read())[STDOUT] == b"one\ntwo\nafter\n"
    writer.close()


async def test_input_right_behind_the_head_and_its_end_are_not_lost(daemon: Daemon, http: Http) -> None:
    ref = await http.create("cat", OpenStdin=True, StdinOnce=True)
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref)) + b"at once\n")
    writer.write_eof()
    await answer(reader)
    await http("POST", f"/containers/{ref}/start")
    assert unframed(await reader.read())[STDOUT] == b"at once\n"
    writer.close()


async def test_input_right_behind_a_body_is_not_lost(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sleep", "1000")
    made = await http("POST", f"/containers/{ref}/exec", {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True})
    reader, writer = await daemon.connect()
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    writer.write(head("POST", f"/v1.47/exec/{made.body['Id']}/start", body=body) + b"at once\n")
    writer.write_eof()
    await answer(reader)
    assert unframed(await reader.read())[STDOUT] == b"at once\n"
    writer.close()


async def test_a_head_that_arrives_byte_by_byte(daemon: Daemon, http: Http) -> None:
    ref = await http.create("cat", OpenStdin=True, StdinOnce=True)
    reader, writer = await daemon.connect()
    for byte in head("POST", attach(ref)) + b"slow\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    writer.write_eof()
    await answer(reader)
    await http("POST", f"/containers/{ref}/start")
    assert unframed(await reader.read())[STDOUT] == b"slow\n"
    writer.close()


async def test_a_connection_that_served_requests_before_can_be_upgraded(daemon: Daemon, http: Http) -> None:
    ref = await http.create("echo", "hi")
    reader, writer = await daemon.connect()
    writer.write(head("GET", "/_ping", headers=""))
    _, headers = await answer(reader)
    assert await reader.readexactly(int(headers["content-length"])) == b"OK"
    writer.write(head("POST", attach(ref, stdin=0)))
    status, _ = await answer(reader)
    assert status.startswith("HTTP/1.1 101")
    await http("POST", f"/containers/{ref}/start")
    assert unframed(await reader.read())[STDOUT] == b"hi\n"
    writer.close()


async def test_a_refused_upgrade_leaves_the_connection_as_it_was(daemon: Daemon) -> None:
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach("nobody")))
    status, headers = await answer(reader)
    assert status.startswith("HTTP/1.1 404")
    assert (
        json.loads(await reader.readexactly(int(headers["content-length"])))["message"] == "No such container: nobody"
    )
    writer.write(head("GET", "/_ping", headers=""))
    status, _ = await answer(reader)
    assert status == "HTTP/1.1 200 OK"
    writer.close()


async def test_a_client_that_goes_is_noticed_after_it_ended_its_input(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sleep", "1000")
    made = await http("POST", f"/containers/{ref}/exec", {"Cmd": ["sleep", "1000"], "AttachStdout": True})
    reader, writer = await daemon.connect()
    writer.write(head("POST", f"/exec/{made.body['Id']}/start", body=b"{}"))
    await answer(reader)
    writer.write_eof()
    assert await exec_runs(http, made.body["Id"])
    writer.close()
    await until_gone(daemon, made.body["Id"])
    assert not await exec_runs(http, made.body["Id"])


async def test_a_client_that_just_goes_detaches(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sleep", "1000")
    made = await http("POST", f"/containers/{ref}/exec", {"Cmd": ["sleep", "1000"], "AttachStdout": True})
    reader, writer = await daemon.connect()
    writer.write(head("POST", f"/exec/{made.body['Id']}/start", body=b"{}"))
    await answer(reader)
    writer.transport.abort()
    await until_gone(daemon, made.body["Id"])
    assert not await exec_runs(http, made.body["Id"])
    assert daemon.engine.containers.get(ref).status is Status.RUNNING


async def exec_runs(http: Http, identifier: str) -> bool:
    return bool((await http("GET", f"/exec/{identifier}/json")).body["Running"])


async def until_gone(daemon: Daemon, identifier: str) -> None:
    process = daemon.engine.execs.get(identifier).process
    assert process is not None
    async with asyncio.timeout(30):
        await process.wait()


async def test_a_container_goes_on_when_who_was_attached_goes(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sh", "-c", "while true; do echo tick; sleep 0.01; done")
    reader, writer = await daemon.connect()
    writer.write(head("POST", attach(ref)))
    await answer(reader)
    await reader.readexactly(13)
    writer.transport.abort()
    assert daemon.engine.containers.get(ref).status is Status.RUNNING
    assert (await http("GET", "/_ping")).status == 200


async def test_output_waits_for_a_slow_client(daemon: Daemon, http: Http) -> None:
    size = 3_000_000
    ref = await http.create("sh", "-c", f"yes | head -c {size}")
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, str(daemon.socket))
    await loop.sock_sendall(connection, head("POST", attach(ref)))
    await http("POST", f"/containers/{ref}/start")
    await http("POST", f"/containers/{ref}/wait")
    received = bytearray()
    while data := await loop.sock_recv(connection, 1 << 16):
        received += data
    connection.close()
    assert len(unframed(bytes(received).partition(b"\r\n\r\n")[2])[STDOUT]) == size


async def test_input_waits_for_a_slow_guest(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sleep", "1000")
    made = await http("POST", f"/containers/{ref}/exec", {"Cmd": ["sleep", "1000"], "AttachStdin": True})
    reader, writer = await daemon.connect()
    writer.write(head("POST", f"/exec/{made.body['Id']}/start", body=b"{}"))
    await answer(reader)
    writer.write(bytes(64 << 20))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.3)
    writer.transport.abort()


async def test_much_goes_through_both_ways_at_once(daemon: Daemon, http: Http) -> None:
    ref = await http.run("sleep", "1000")
    wanted = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
    made = await http("POST", f"/containers/{ref}/exec", wanted)
    reader, writer = await daemon.connect()
    writer.write(head("POST", f"/exec/{made.body['Id']}/start", body=b"{}"))
    await answer(reader)
    data = bytes(range(256)) * 8192

    async def send() -> None:
        for start in range(0, len(data), 10_000):
            writer.write(data[start : start + 10_000])
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    received = await reader.read()
    await sending
    assert unframed(received)[STDOUT] == data
    assert (await http("GET", f"/exec/{made.body['Id']}/json")).body["ExitCode"] == 0
    writer.close()


async def test_the_last_piece_of_a_body_is_not_held_back(tmp_path: Path) -> None:
    """The one that comes after a chunk with whose end there was a pause."""
    large, read, over = 600 << 10, [0], asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        while request.content.total_bytes < large:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        async for piece in request.content.iter_chunked(1 << 16):
            read[0] += len(piece)
        over.set()
        return web.Response()

    server = Server(handler)
    serving = await asyncio.get_running_loop().create_unix_server(server, path=str(tmp_path / "s"))
    try:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % large)
        writer.write(bytes(large))
        while read[0] < large:  # noqa: ASYNC110
            await asyncio.sleep(0)
        writer.write(b"\r\n5\r\nhello\r\n0\r\n\r\n")
        async with asyncio.timeout(30):
            await over.wait()
        assert read[0] == large + 5
        writer.close()
    finally:
        serving.close()
        await server.shutdown(1)
        server.hang_ups.close()
