"""Many clients at once, over the API: nothing leaks, and no name is ever given twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ireko.api.server import ApiServer

from .conftest import MakeWorld
from .world import World, names

CLIENTS, ROUNDS = 16, 3
DESCRIPTORS = Path("/proc/self/fd")
Answer = tuple[int, Any]


@dataclass
class Api:
    """An API that is being served, and requests to it with JSON bodies."""

    world: World
    socket: Path

    async def __call__(self, session: aiohttp.ClientSession, method: str, path: str, body: object = None) -> Answer:
        async with session.request(method, f"http://d{path}", json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" and text else text

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(self.socket)))


@pytest.fixture
async def api(make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    world = await make_world()
    socket = tmp_path_factory.mktemp("s") / "s"
    async with ApiServer(world.engine, hosts=[f"unix://{socket}"], on_stop=lambda: None):
        yield Api(world, socket)


async def live(api: Api, number: int) -> None:
    """What one client does."""
    name = f"client{number}"
    async with api.session() as session:
        for _ in range(ROUNDS):
            body = {"Image": "nano", "Cmd": ["sleep", "1000000"], "HostConfig": {"Binds": [f"{name}:/data"]}}
            assert (await api(session, "POST", f"/containers/create?name={name}", body))[0] == 201
            assert (await api(session, "POST", f"/containers/{name}/start"))[0] == 204
            status, made = await api(
                session, "POST", f"/containers/{name}/exec", {"Cmd": ["true"], "AttachStdout": True}
            )
            assert status == 201
            assert (await api(session, "POST", f"/exec/{made['Id']}/start", {"Detach": False}))[0] == 200
            assert (await api(session, "POST", f"/commit?container={name}&repo={name}"))[0] == 201
            assert (await api(session, "POST", f"/containers/{name}/stop?t=1"))[0] == 204
            assert (await api(session, "DELETE", f"/containers/{name}"))[0] == 204
            assert (await api(session, "DELETE", f"/images/{name}"))[0] == 200
            assert (await api(session, "DELETE", f"/volumes/{name}"))[0] == 204


def held(world: World) -> dict[str, object]:
    """What a leak would show in."""
    context, runs = world.engine._context, world.engine._runs
    return {
        "descriptors": len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0,
        "tasks": Counter(task.get_name().rstrip("0123456789") for task in asyncio.all_tasks()),
        "own tasks": len(context.tasks._tasks),
        "locks": dict(context.locks._locks),
        "runs": dict(runs._runs),
        "logs": set(runs._logs),
        "waiters": dict(runs._waiters),
        "starters": dict(runs._starters),
        "delays": dict(runs._delays),
        "listeners": len(context.events._listeners),
        "files": {path for path in world.root.rglob("*") if not path.name.startswith("ireko.db")},
        "records": world.seen(),
        "machines": set(world.host.machines),
    }


async def test_sixteen_clients_leave_nothing(api: Api) -> None:
    async with api.session() as session:
        assert (await api(session, "GET", "/containers/json"))[0] == 200
    await live(api, CLIENTS)  # what is made once is made: threads, caches
    await asyncio.gather(*(asyncio.to_thread(lambda: None) for _ in range(CLIENTS)))
    before = held(api.world)
    await asyncio.gather(*(live(api, number) for number in range(CLIENTS)))
    await api.world.quiet()
    for _ in range(1000):  # the server has yet to see that the last connections are closed
        if held(api.world) == before:
            break
        await asyncio.sleep(0)
    assert held(api.world) == before
    await api.world.check()


async def test_a_name_is_given_once_and_again_when_it_is_free(api: Api) -> None:
    body = {"Image": "nano", "Cmd": ["true"]}
    async with api.session() as session:
        made = await asyncio.gather(
            *(api(session, "POST", "/containers/create?name=one", body) for _ in range(CLIENTS))
        )
        assert Counter(status for status, _ in made) == {201: 1, 409: CLIENTS - 1}
        assert all('"/one" is already in use' in answer["message"] for status, answer in made if status == 409)
        assert len(names(api.world.engine._context.paths.containers)) == 1
        assert (await api(session, "DELETE", "/containers/one"))[0] == 204
        assert (await api(session, "POST", "/containers/create?name=one", body))[0] == 201
        assert (await api(session, "POST", "/containers/create?name=two", body))[0] == 201
        renamed = await asyncio.gather(
            *(api(session, "POST", f"/containers/{name}/rename?name=three") for name in ("one", "two"))
        )
        assert sorted(status for status, _ in renamed) == [204, 409]
    await api.world.check()


async def test_ids_that_nobody_or_several_have(api: Api) -> None:
    async with api.session() as session:
        status, answer = await api(session, "GET", "/containers/abc/json")
        assert (status, answer["message"]) == (404, "No such container: abc")
        ids = [await api.world.make(f"box{number}", start=False) for number in range(17)]  # more than there are digits
        first = Counter(each[0] for each in ids).most_common(1)[0][0]
        status, answer = await api(session, "GET", f"/containers/{first}/json")
        assert status == 400
        assert f'"{first}" is the beginning of' in answer["message"]
        assert answer["hint"] == "write more digits"
        assert (await api(session, "GET", f"/containers/{ids[0][:12]}/json"))[1]["Id"] == ids[0]


async def test_the_same_new_volume_for_everybody(api: Api) -> None:
    body = {"Image": "nano", "Cmd": ["true"], "HostConfig": {"Binds": ["bb:/b", "aa:/a"]}}
    other = {**body, "HostConfig": {"Binds": ["aa:/a", "bb:/b"]}}
    async with api.session() as session:
        made = await asyncio.gather(
            *(api(session, "POST", "/containers/create", body if n % 2 else other) for n in range(CLIENTS))
        )
    assert {status for status, _ in made} == {201}
    assert api.world.seen().volumes == {"aa", "bb"}
    await api.world.check()


async def test_a_volume_has_one_writer_whoever_starts_at_once(api: Api) -> None:
    body = {"Image": "nano", "Cmd": ["sleep", "1000000"], "HostConfig": {"Binds": ["aa:/a"]}}
    async with api.session() as session:
        ids = [(await api(session, "POST", "/containers/create", body))[1]["Id"] for _ in range(4)]
        started = await asyncio.gather(*(api(session, "POST", f"/containers/{each}/start") for each in ids))
    assert Counter(status for status, _ in started) == {204: 1, 409: 3}
    assert all('volume "aa" is in use by' in answer["message"] for status, answer in started if status == 409)
    await api.world.check()
