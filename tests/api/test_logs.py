"""What containers wrote, and what they use."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ireko.model.framing import STDERR, STDOUT, FrameDecoder

from .conftest import Http

SCRIPT = "echo one; echo two >&2; echo three"
MULTIPLEXED, RAW = "application/vnd.docker.multiplexed-stream", "application/vnd.docker.raw-stream"


async def lines(http: Http, ref: str, query: str, version: str = "") -> list[tuple[int, bytes]]:
    async with http.session.get(f"http://d{version}/containers/{ref}/logs?{query}") as response:
        assert response.status == 200, await response.text()
        return list(FrameDecoder().feed(await response.read()))


@pytest.fixture
async def ended(http: Http) -> str:
    """A container that wrote three lines."""
    ref = await http.run("sh", "-c", SCRIPT)
    await http("POST", f"/containers/{ref}/wait")
    return ref


class TestLogs:
    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("stdout=1&stderr=1", {b"one\n", b"two\n", b"three\n"}),
            ("stdout=1", {b"one\n", b"three\n"}),
            ("stderr=true", {b"two\n"}),
            ("stdout=1&tail=1", {b"three\n"}),
            ("stdout=1&tail=0", set()),
            ("stdout=1&tail=all", {b"one\n", b"three\n"}),
            ("stdout=1&tail=-1", {b"one\n", b"three\n"}),
            ("stdout=1&tail=\u00b2", {b"one\n", b"three\n"}),
            ("stdout=1&tail=99999999999999999999", {b"one\n", b"three\n"}),
            ("stdout=1&since=1", {b"one\n", b"three\n"}),
            ("stdout=1&since=4000000000.5", set()),
            ("stdout=1&until=1", set()),
            ("stdout=1&since=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z", {b"one\n", b"three\n"}),
            ("stdout=1&follow=1", {b"one\n", b"three\n"}),
        ],
    )
    async def test_which_lines(self, http: Http, ended: str, query: str, wanted: set[bytes]) -> None:
        found = await lines(http, ended, query)
        assert {data for _, data in found} == wanted
        assert all(stream == (STDERR if data == b"two\n" else STDOUT) for stream, data in found)

    async def test_timestamps(self, http: Http, ended: str) -> None:
        for _, data in await lines(http, ended, "stdout=1&timestamps=1"):
            assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|three)\n", data)

    async def test_they_can_be_followed_until_the_end(self, http: Http) -> None:
        ref = await http.run("sh", "-c", "echo one; read word; echo $word", OpenStdin=True)
        async with http.session.get(f"http://d/containers/{ref}/logs?stdout=1&follow=1") as response:
            assert await response.content.readexactly(12) == b"\1\0\0\0\0\0\0\4one\n"
            await http("POST", f"/containers/{ref}/kill")
            assert await response.read() == b""

    @pytest.mark.parametrize(("version", "kind"), [("", MULTIPLEXED), ("/v1.42", MULTIPLEXED), ("/v1.41", RAW)])
    async def test_frames_have_a_type_since_1_42(self, http: Http, ended: str, version: str, kind: str) -> None:
        async with http.session.get(f"http://d{version}/containers/{ended}/logs?stdout=1") as response:
            assert response.headers["Content-Type"] == kind
            assert (await response.read()).startswith(b"\1\0\0\0\0\0\0\4one\n")

    async def test_a_terminal_s_are_no_frames(self, http: Http) -> None:
        ref = await http.run("echo", "hi", Tty=True)
        await http("POST", f"/containers/{ref}/wait")
        async with http.session.get(f"http://d/containers/{ref}/logs?stdout=1&stderr=1") as response:
            assert response.headers["Content-Type"] == RAW
            assert await response.read() == b"hi\r\n"

    async def test_one_that_never_ran_has_none(self, http: Http) -> None:
        assert await lines(http, await http.create("true"), "stdout=1&follow=1") == []

    async def test_the_oldest_lines_go_when_it_is_too_much(self, http: Http) -> None:
        script = f"for number in {' '.join(map(str, range(100, 200)))}; do echo line $number; echo; done"
        limit = {"LogConfig": {"Config": {"max-size": "100", "max-file": "3"}}}
        ref = await http.run("sh", "-c", script, HostConfig=limit)
        await http("POST", f"/containers/{ref}/wait")
        found = [data for _, data in await lines(http, ref, "stdout=1")]
        assert 200 < sum(map(len, found)) <= 300
        assert found[-2:] == [b"line 199\n", b"\n"]
        assert found[-3:] == [data for _, data in await lines(http, ref, "stdout=1&tail=3")]

    @pytest.mark.parametrize("query", ["", "stdout=0", "stdout=1&since=x", "stdout=1&until=x"])
    async def test_what_is_refused(self, http: Http, ended: str, query: str) -> None:
        assert (await http("GET", f"/containers/{ended}/logs?{query}")).status == 400


class TestStats:
    def check(self, found: dict[str, Any], ref: str) -> None:
        assert (found["id"], found["name"]) == (ref, "/box")
        assert found["pids_stats"]["current"] > 0
        assert 0 < found["memory_stats"]["usage"] <= found["memory_stats"]["limit"]
        assert found["cpu_stats"]["online_cpus"] == 1
        assert found["networks"]["eth0"].keys() >= {"rx_bytes", "tx_bytes"}
        assert {each["op"] for each in found["blkio_stats"]["io_service_bytes_recursive"]} == {"read", "write"}

    async def test_a_single_reading(self, http: Http) -> None:
        ref = await http.run("sleep", "1000", name="box")
        found = (await http("GET", "/containers/box/stats", **{"stream": "false", "one-shot": "true"})).body
        self.check(found, ref)
        assert found["preread"] == "0001-01-01T00:00:00Z"
        assert "system_cpu_usage" not in found["precpu_stats"]

    async def test_two_readings_for_the_load(self, http: Http) -> None:
        ref = await http.run("sleep", "1000", name="box")
        found = (await http("GET", "/containers/box/stats", stream="false")).body
        self.check(found, ref)
        assert found["preread"] < found["read"]
        assert found["precpu_stats"]["system_cpu_usage"] < found["cpu_stats"]["system_cpu_usage"]

    async def test_a_stream_ends_with_the_container(self, http: Http) -> None:
        ref = await http.run("sleep", "1000", name="box")
        async with http.session.get("http://d/containers/box/stats") as response:
            self.check(json.loads(await response.content.readline()), ref)
            await http("DELETE", "/containers/box", force="1")
            await response.read()

    async def test_one_that_does_not_run_uses_nothing(self, http: Http) -> None:
        await http.create("true", name="box")
        found = (await http("GET", "/containers/box/stats", stream="false")).body
        assert (found["memory_stats"]["usage"], found["pids_stats"]["current"]) == (0, 0)
