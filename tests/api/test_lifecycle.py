"""Containers: started, stopped, waited for."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import Http


async def status(http: Http, ref: str) -> str:
    found: str = (await http("GET", f"/containers/{ref}/json")).body["State"]["Status"]
    return found


async def test_start_and_stop_say_when_there_is_nothing_to_do(http: Http) -> None:
    ref = await http.create("sleep", "1000")
    answers = [(await http("POST", f"/containers/{ref}/{verb}")).status for verb in ("stop", "start", "start")]
    assert answers == [304, 204, 304]
    assert (await http("POST", f"/containers/{ref}/stop", t="1")).status == 204
    assert (await http("POST", f"/containers/{ref}/stop")).status == 304
    assert await status(http, ref) == "exited"


async def test_stop_after_the_grace_period(http: Http) -> None:
    ref = await http.run("sh", "-c", "trap '' TERM; while true; do sleep 0.01; done")
    assert (await http("POST", f"/containers/{ref}/stop", t="0")).status == 204
    assert (await http("GET", f"/containers/{ref}/json")).body["State"]["ExitCode"] == 137


async def test_stop_with_a_signal(http: Http) -> None:
    ref = await http.run("sh", "-c", "trap 'exit 4' USR1; echo ready; while true; do sleep 0.01; done")
    await _said(http, ref, b"ready")
    assert (await http("POST", f"/containers/{ref}/stop", signal="USR1")).status == 204
    assert (await http("GET", f"/containers/{ref}/json")).body["State"]["ExitCode"] == 4
    assert (await http("POST", f"/containers/{ref}/stop", signal="NOSUCH")).status == 400


async def test_restart(http: Http) -> None:
    ref = await http.create("sleep", "1000")
    for _ in range(2):  # one that does not run is started
        assert (await http("POST", f"/containers/{ref}/restart", t="1")).status == 204
        assert await status(http, ref) == "running"


async def test_restart_with_a_signal(http: Http) -> None:
    ref = await http.run("sh", "-c", "trap 'exit 4' USR1; echo ready; while true; do sleep 0.01; done")
    await _said(http, ref, b"ready")
    async with http.session.get("http://d/events", params={"filters": '{"event": ["die"]}'}) as events:
        assert (await http("POST", f"/containers/{ref}/restart", signal="USR1")).status == 204
        assert b'"exitCode":"4"' in await events.content.readline()


@pytest.mark.parametrize(("signal", "code"), [("", 137), ("KILL", 137), ("SIGTERM", 143), ("2", 130)])
async def test_kill(http: Http, signal: str, code: int) -> None:
    ref = await http.run("sleep", "1000")
    assert (await http("POST", f"/containers/{ref}/kill", signal=signal)).status == 204
    assert (await http("POST", f"/containers/{ref}/wait")).body == {"StatusCode": code}
    answered = await http("POST", f"/containers/{ref}/kill")
    assert (answered.status, answered.body["message"]) == (409, f"Container {ref[:12]} is not running")


@pytest.mark.parametrize("signal", ["NOSUCH", "0", "65", "-1"])
async def test_a_signal_that_is_none(http: Http, signal: str) -> None:
    ref = await http.run("sleep", "1000")
    answered = await http("POST", f"/containers/{ref}/kill", signal=signal)
    assert (answered.status, answered.body["message"]) == (400, f"Invalid signal: {signal}")


async def test_pause(http: Http) -> None:
    ref = await http.create("sleep", "1000")
    assert (await http("POST", f"/containers/{ref}/pause")).status == 409
    await http("POST", f"/containers/{ref}/start")
    assert (await http("POST", f"/containers/{ref}/unpause")).status == 409
    assert (await http("POST", f"/containers/{ref}/pause")).status == 204
    state = (await http("GET", f"/containers/{ref}/json")).body["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    for verb in ("pause", "start"):
        assert (await http("POST", f"/containers/{ref}/{verb}")).status == 409
    assert (await http("POST", f"/containers/{ref}/exec", {"Cmd": ["true"]})).status == 409
    assert (await http("POST", f"/containers/{ref}/unpause")).status == 204
    assert await status(http, ref) == "running"


async def test_resize(http: Http) -> None:
    ref = await http.run("sh", Tty=True, OpenStdin=True)
    assert (await http("POST", f"/containers/{ref}/resize", h="40", w="100")).status == 200
    assert (await http("POST", f"/containers/{ref}/resize", h="40")).status == 400
    assert (await http("POST", f"/containers/{ref}/resize", h="-1", w="100")).status == 400
    stopped = await http.create("true")
    assert (await http("POST", f"/containers/{stopped}/resize", h="40", w="100")).status == 409


class TestWait:
    async def test_its_headers_say_that_it_is_registered(self, http: Http) -> None:
        ref = await http.create("sh", "-c", "exit 3")
        async with http.session.post(f"http://d/containers/{ref}/wait?condition=next-exit") as response:
            assert response.status == 200
            await http("POST", f"/containers/{ref}/start")
            assert await response.json() == {"StatusCode": 3}

    async def test_one_that_has_ended_is_not_waited_for(self, http: Http) -> None:
        ref = await http.create("true")
        assert (await http("POST", f"/containers/{ref}/wait")).body == {"StatusCode": 0}

    async def test_for_the_removal(self, http: Http) -> None:
        ref = await http.create("sh", "-c", "exit 4", HostConfig={"AutoRemove": True})
        async with http.session.post(f"http://d/containers/{ref}/wait?condition=removed") as response:
            await http("POST", f"/containers/{ref}/start")
            assert await response.json() == {"StatusCode": 4}
        assert (await http("GET", f"/containers/{ref}/json")).status == 404

    async def test_a_condition_that_is_none(self, http: Http) -> None:
        ref = await http.create("true")
        answered = await http("POST", f"/containers/{ref}/wait", condition="tired")
        assert (answered.status, answered.body["message"]) == (400, 'invalid condition: "tired"')

    async def test_a_client_that_goes_leaves_nothing(self, http: Http) -> None:
        ref = await http.run("sleep", "1000")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http("POST", f"/containers/{ref}/wait"), 0.1)
        assert await status(http, ref) == "running"


async def test_an_order_is_carried_out_though_its_client_goes(http: Http) -> None:
    ref = await http.run("sh", "-c", "trap '' TERM; while true; do sleep 0.01; done")
    stopping = asyncio.create_task(http("POST", f"/containers/{ref}/stop", t="1"))
    async with http.session.post(f"http://d/containers/{ref}/wait") as ended:
        stopping.cancel()
        assert await ended.json() == {"StatusCode": 137}


async def _said(http: Http, ref: str, wanted: bytes) -> None:
    """Returns once the container has written this."""
    async with http.session.get(f"http://d/containers/{ref}/logs?stdout=1&follow=1") as response:
        seen = b""
        while wanted not in seen:
            seen += await response.content.readany()
