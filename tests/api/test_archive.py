"""Files in and out of containers."""

from __future__ import annotations

import base64
import io
import json
import stat
import tarfile
from typing import Any

import pytest

from .conftest import Http

IS_DIR = 1 << 31


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o640, 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def path_stat(headers: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
    return found


@pytest.fixture(params=["running", "stopped"])
async def box(http: Http, request: pytest.FixtureRequest) -> str:
    start = http.run if request.param == "running" else http.create
    return await start("sleep", "1000", name="box")


async def put(http: Http, path: str, data: bytes) -> tuple[int, str]:
    async with http.session.put("http://d/containers/box/archive", params={"path": path}, data=data) as response:
        return response.status, await response.text()


async def test_in_and_out(http: Http, box: str) -> None:
    assert await put(http, "/srv", tar(one=b"1", two=b"22")) == (200, "")
    async with http.session.get("http://d/containers/box/archive?path=/srv") as response:
        assert response.headers["Content-Type"] == "application/x-tar"
        found = path_stat(response.headers)
        with tarfile.open(fileobj=io.BytesIO(await response.read())) as archive:
            contents = {each.name: archive.extractfile(each).read() for each in archive if each.isreg()}  # type: ignore[union-attr]
    assert (found["name"], found["mode"] & IS_DIR) == ("srv", IS_DIR)
    assert contents == {"srv/one": b"1", "srv/two": b"22"}


async def test_what_is_at_a_path(http: Http, box: str) -> None:
    await put(http, "/srv", tar(one=b"1"))
    answered = await http("HEAD", "/containers/box/archive", path="/srv/one")
    assert (answered.status, answered.body) == (200, "")
    assert path_stat(answered.headers) == {
        "name": "one", "size": 1, "mode": stat.S_IMODE(0o640), "mtime": "2023-11-14T22:13:20Z", "linkTarget": "",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_not_there(http: Http, box: str, method: str) -> None:
    answered = await http(method, "/containers/box/archive", path="/nope")
    assert answered.status == 404
    if method == "GET":
        assert '"/nope"' in answered.body["message"]


async def test_into_a_folder_that_is_not_there(http: Http, box: str) -> None:
    code, text = await put(http, "/no/such", tar(one=b"1"))
    assert (code, '\\"/no/such\\"' in text) == (404, True)


async def test_what_is_no_archive(http: Http, box: str) -> None:
    code, _ = await put(http, "/srv", b"x" * 2000)
    assert 400 <= code < 600
    assert (await http("GET", "/containers/box/changes")).body == []


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_a_path(http: Http, method: str) -> None:
    await http.create("true", name="box")
    answered = await http(method, "/containers/box/archive")
    assert (answered.status, answered.body["message"]) == (400, "missing the path")


async def test_much(http: Http) -> None:
    await http.create("true", name="box")
    data = bytes(range(256)) * 20_000
    async with http.session.put(
        "http://d/containers/box/archive?path=/srv", data=io.BytesIO(tar(big=data))
    ) as response:
        assert response.status == 200
    async with http.session.get("http://d/containers/box/archive?path=/srv/big") as response:
        with tarfile.open(fileobj=io.BytesIO(await response.read())) as archive:
            assert archive.extractfile("big").read() == data  # type: ignore[union-attr]
