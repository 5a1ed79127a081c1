"""Compact and check: told as they go, with what was done in the last line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ireko.host.files import disk_bytes

from .conftest import Daemon, Http


async def lines(http: Http, path: str) -> list[dict[str, Any]]:
    async with http.session.post(f"http://d{path}") as response:
        assert response.status == 200
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_what_compact_did_is_in_the_last_line(http: Http) -> None:
    await http.run("sleep", "1000", name="web")
    *told, last = await lines(http, "/ireko/compact")
    assert all(line["id"] == "compact" for line in told)
    done = last["aux"]
    assert (done["SpaceReclaimed"], done["LookedAt"], done["Shrunk"]) == (0, 0, [])
    layer, container = done["Left"]
    assert layer["Name"].startswith("layer ")
    assert layer["Name"].endswith(" of nano:latest")
    assert (layer["Why"], layer["Failed"]) == ("web runs on it", False)
    assert container == {"Name": "container web", "Why": "it runs", "Failed": False}


async def test_a_check_says_what_it_looked_at(http: Http) -> None:
    await http.create("true", HostConfig={"Binds": ["data:/d"]})
    *told, last = await lines(http, "/ireko/check?deep=1")
    assert {line["status"].split()[0] for line in told} <= {"checking", "reading"}
    assert last == {
        "aux": {"Images": 1, "Layers": 1, "Containers": 1, "Volumes": 1, "Deep": True, "Findings": []}
    }  # fmt: skip


async def test_what_is_found_is_told_and_repaired_when_that_is_asked_for(http: Http, daemon: Daemon) -> None:
    (layer,) = daemon.engine._context.database.layers.values()
    path = daemon.engine._context.paths.layer_disk(layer.id)
    path.chmod(0o600)
    for query, repaired in (("", False), ("?repair=1", True)):
        (found,) = (await lines(http, f"/ireko/check{query}"))[-1]["aux"]["Findings"]
        assert found["Level"] == "error"
        assert "was made writable" in found["Found"]
        assert found["Remedy"] == f'chmod 400 "{path}"'
        assert found["Repaired"] is repaired
    assert (await lines(http, "/ireko/check"))[-1]["aux"]["Findings"] == []
    assert disk_bytes(path) == layer.size


async def test_who_hangs_up_ends_it(http: Http, daemon: Daemon) -> None:
    """Compact and check take turns: the second waits, and goes with its client."""
    locks = daemon.engine._context.locks
    async with locks("upkeep"):
        reader, writer = await daemon.connect()
        writer.write(b"POST /ireko/check HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(30):
        assert (await lines(http, "/ireko/check"))[-1]["aux"]["Findings"] == []
