"""Further commands in a container that runs; their streams are tested with the raw streams."""

from __future__ import annotations

from typing import Any

import pytest

from ireko.model.framing import FrameDecoder

from .conftest import Http


async def made(http: Http, *command: str, ref: str = "box", **more: Any) -> str:
    answered = await http("POST", f"/containers/{ref}/exec", {"Cmd": list(command), "AttachStdout": True, **more})
    assert answered.status == 201, answered.body
    identifier: str = answered.body["Id"]
    return identifier


async def output(http: Http, identifier: str) -> bytes:
    async with http.session.post(f"http://d/exec/{identifier}/start", json={}) as response:
        return b"".join(data for _, data in FrameDecoder().feed(await response.read()))


async def test_before_and_after(http: Http) -> None:
    ref = await http.run("sleep", "1000", name="box")
    identifier = await made(http, "sh", "-c", "exit 3", Env=["A=b"], User="nobody", Privileged=True)
    found = (await http("GET", f"/exec/{identifier}/json")).body
    assert (found["ID"], found["ContainerID"], found["Running"], found["ExitCode"]) == (identifier, ref, False, None)
    assert found["ProcessConfig"] == {
        "tty": False, "entrypoint": "sh", "arguments": ["-c", "exit 3"], "privileged": False, "user": "nobody",
    }  # fmt: skip
    assert (found["OpenStdin"], found["OpenStdout"]) == (False, True)
    await output(http, identifier)
    found = (await http("GET", f"/exec/{identifier}/json")).body
    assert (found["Running"], found["ExitCode"]) == (False, 3)


async def test_settings(http: Http) -> None:
    await http.run("sleep", "1000", name="box", Env=["KEPT=1", "A=old"], WorkingDir="/srv")
    inherited = await made(http, "sh", "-c", "echo $KEPT $A; pwd; whoami", Env=["A=new"])
    assert await output(http, inherited) == b"1 new\n/srv\nroot\n"
    given = await made(http, "sh", "-c", "pwd; whoami", WorkingDir="/tmp", User="nobody")
    assert await output(http, given) == b"/tmp\nnobody\n"


async def test_a_container_tells_which_ones_run(http: Http) -> None:
    await http.run("sleep", "1000", name="box")
    identifier = await made(http, "sleep", "1000")
    assert (await http("GET", "/containers/box/json")).body["ExecIDs"] is None
    assert (await http("POST", f"/exec/{identifier}/start", {"Detach": True})).status == 200
    assert (await http("GET", "/containers/box/json")).body["ExecIDs"] == [identifier]


async def test_only_once(http: Http) -> None:
    await http.run("sleep", "1000", name="box")
    identifier = await made(http, "true")
    await output(http, identifier)
    assert (await http("POST", f"/exec/{identifier}/start", {"Detach": True})).status == 409


async def test_resize(http: Http) -> None:
    await http.run("sleep", "1000", name="box")
    identifier = await made(http, "sleep", "1000", Tty=True)
    assert (await http("POST", f"/exec/{identifier}/resize", h="40", w="100")).status == 409
    await http("POST", f"/exec/{identifier}/start", {"Detach": True, "Tty": True})
    assert (await http("POST", f"/exec/{identifier}/resize", h="40", w="100")).status == 200
    assert (await http("POST", f"/exec/{identifier}/resize", h="40", w="x")).status == 400


async def test_one_that_does_not_exist(http: Http) -> None:
    for method, path in (("GET", "json"), ("POST", "start"), ("POST", "resize?h=1&w=1")):
        answered = await http(method, f"/exec/nothing/{path}")
        assert (answered.status, answered.body["message"]) == (404, "No such exec instance: nothing")


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"Cmd": []}, 400), ({"Cmd": ["true"], "WorkingDir": "srv"}, 400), ({"Cmd": "true"}, 201)],
)
async def test_bodies(http: Http, body: dict[str, Any], status: int) -> None:
    await http.run("sleep", "1000", name="box")
    assert (await http("POST", "/containers/box/exec", body)).status == status


async def test_a_container_that_does_not_run(http: Http) -> None:
    ref = await http.create("true", name="box")
    answered = await http("POST", "/containers/box/exec", {"Cmd": ["true"]})
    assert (answered.status, answered.body["message"]) == (409, f"Container {ref[:12]} is not running")
    await http("POST", "/containers/box/start")
