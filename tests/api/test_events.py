"""What happens, as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from .conftest import Http

FAR = "4000000000"


async def told(http: Http, **query: str) -> list[dict[str, Any]]:
    """What has happened by now."""
    until = f"{time.time():.9f}"
    async with http.session.get("http://d/events", params={"since": "1", "until": until, **query}) as response:
        assert response.status == 200, await response.text()
        return [json.loads(line) async for line in response.content]


@pytest.fixture
async def lived(http: Http) -> str:
    """A container that was made, renamed, started, and has ended and gone; another one beside it."""
    await http.create("true", name="other", Labels={"tier": "db"})
    ref = await http.create("sh", "-c", "exit 3", name="first", Labels={"tier": "web"})
    await http("POST", f"/containers/{ref}/rename", name="web")
    await http("POST", f"/containers/{ref}/start")
    await http("POST", f"/containers/{ref}/wait")
    await http("DELETE", f"/containers/{ref}")
    return ref


async def test_a_life(http: Http, lived: str) -> None:
    found = await told(http, filters=json.dumps({"container": [lived]}))
    assert [event["Action"] for event in found] == ["create", "rename", "start", "die", "destroy"]
    rename, _, die = found[1:4]
    assert rename["Actor"]["Attributes"]["oldName"] == "/first"
    assert die["Actor"] == {
        "ID": lived, "Attributes": {"name": "web", "image": "nano", "tier": "web", "exitCode": "3"},
    }  # fmt: skip
    assert (die["Type"], die["scope"]) == ("container", "local")
    assert (die["status"], die["id"], die["from"]) == ("die", lived, "nano")
    assert die["timeNano"] // 1_000_000_000 == die["time"]
    assert [event["timeNano"] for event in found] == sorted(event["timeNano"] for event in found)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"container": ["web"]}, 4),  # by its name at that moment
        ({"event": ["die"]}, 1),
        ({"event": ["create", "die"], "type": ["container"]}, 3),
        ({"label": ["tier"]}, 6),
        ({"label": ["tier=db"]}, 1),
        ({"image": ["nano"], "type": ["container"]}, 6),
        ({"type": ["volume"]}, 0),
        ({"scope": ["local"], "type": ["container"]}, 6),
        ({"scope": ["swarm"]}, 0),
    ],
)
async def test_filters(http: Http, lived: str, filters: dict[str, list[str]], count: int) -> None:
    assert len(await told(http, filters=json.dumps(filters))) == count


async def test_images_and_volumes(http: Http) -> None:
    await http("POST", "/volumes/create", {"Name": "data"})
    await http("DELETE", "/volumes/data")
    await http("POST", "/images/nano/tag", repo="alias", tag="1")
    await http("DELETE", "/images/alias:1")
    found = [(event["Type"], event["Action"]) for event in await told(http)]
    assert found[-4:] == [("volume", "create"), ("volume", "destroy"), ("image", "tag"), ("image", "untag")]


async def test_a_command_s_action_is_found_by_its_first_word(http: Http) -> None:
    ref = await http.run("sleep", "1000")
    made = await http("POST", f"/containers/{ref}/exec", {"Cmd": ["ls", "/"]})
    (event,) = await told(http, filters='{"event": ["exec_create"]}')
    assert event["Action"] == "exec_create: ls /"
    assert event["Actor"]["Attributes"]["execID"] == made.body["Id"]


async def test_those_to_come(http: Http) -> None:
    async with http.session.get("http://d/events") as response:
        ref = await http.create("true")
        event = json.loads(await response.content.readline())
        assert (event["Action"], event["Actor"]["ID"]) == ("create", ref)


async def test_until_a_moment_to_come(http: Http) -> None:
    async with asyncio.timeout(30), http.session.get(f"http://d/events?until={time.time() + 0.2}") as response:
        assert await response.read() == b""


@pytest.mark.parametrize("query", [{"since": "x"}, {"until": "x"}, {"filters": '{"colour": ["red"]}'}])
async def test_what_is_refused(http: Http, query: dict[str, str]) -> None:
    assert (await http("GET", "/events", **query)).status == 400
