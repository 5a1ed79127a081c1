"""Volumes."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Http

ANONYMOUS = "com.docker.volume.anonymous"


async def listed(http: Http, **filters: list[str]) -> list[str]:
    answered = await http("GET", "/volumes", None, filters=json.dumps(filters))
    assert answered.status == 200, answered.body
    return [each["Name"] for each in answered.body["Volumes"]]


class TestCreate:
    async def test_what_is_answered(self, http: Http) -> None:
        answered = await http("POST", "/volumes/create", {"Name": "data", "Labels": {"k": "v"}})
        assert answered.status == 201
        assert re.fullmatch(r"\d{4}-.*Z", answered.body.pop("CreatedAt"))
        assert answered.body.pop("Mountpoint").endswith("/volumes/data")
        assert answered.body == {
            "Name": "data", "Driver": "local", "Labels": {"k": "v"}, "Options": None, "Scope": "local",
        }  # fmt: skip

    async def test_the_same_again_is_the_same(self, http: Http) -> None:
        first = await http("POST", "/volumes/create", {"Name": "data", "Labels": {"k": "v"}})
        assert (await http("POST", "/volumes/create", {"Name": "data"})).body == first.body

    async def test_without_a_name_it_gets_one_and_is_anonymous(self, http: Http) -> None:
        made = (await http("POST", "/volumes/create")).body
        assert re.fullmatch(r"[0-9a-f]{64}", made["Name"])
        assert made["Labels"] == {ANONYMOUS: ""}

    @pytest.mark.parametrize(
        ("body", "status"),
        [({"Name": "-"}, 400), ({"Name": "a/b"}, 400), ({"Driver": "nfs"}, 501), ({"DriverOpts": {"size": "1"}}, 501)],
    )
    async def test_what_is_refused(self, http: Http, body: dict[str, object], status: int) -> None:
        assert (await http("POST", "/volumes/create", body)).status == status
        assert await listed(http) == []


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({}, ["data", "logs"]),
        ({"name": ["dat"]}, ["data"]),
        ({"label": ["k=v"]}, ["data"]),
        ({"driver": ["local"]}, ["data", "logs"]),
        ({"driver": ["nfs"]}, []),
        ({"dangling": ["true"]}, ["data"]),
        ({"dangling": ["false"]}, ["logs"]),
    ],
)
async def test_filters(http: Http, filters: dict[str, list[str]], shown: list[str]) -> None:
    await http("POST", "/volumes/create", {"Name": "data", "Labels": {"k": "v"}})
    await http.create("true", HostConfig={"Binds": ["logs:/logs"]})
    assert await listed(http, **filters) == shown
    assert (await http("GET", "/volumes", None, filters='{"colour": ["red"]}')).status == 400


async def test_remove(http: Http) -> None:
    ref = await http.create("true", name="web", HostConfig={"Binds": ["data:/d"]})
    answered = await http("DELETE", "/volumes/data")
    assert answered.status == 409
    assert "web" in answered.body["message"]
    await http("DELETE", f"/containers/{ref}")
    assert (await http("DELETE", "/volumes/data")).status == 204
    assert (await http("DELETE", "/volumes/data")).status == 404
    assert (await http("DELETE", "/volumes/data", None, force="1")).status == 204
    assert (await http("GET", "/volumes/data")).status == 404


@pytest.mark.parametrize(
    ("version", "filters", "gone"),
    [
        ("", {}, ["unnamed"]),
        ("", {"all": ["true"]}, ["data", "unnamed"]),
        ("/v1.41", {}, ["data", "unnamed"]),
        ("", {"all": ["1"], "label": ["k"]}, ["data"]),
        ("", {"all": ["1"], "label!": ["k"]}, ["unnamed"]),
    ],
)
async def test_prune(http: Http, version: str, filters: dict[str, list[str]], gone: list[str]) -> None:
    await http("POST", "/volumes/create", {"Name": "data", "Labels": {"k": "v"}})
    unnamed = (await http("POST", "/volumes/create")).body["Name"]
    await http.create("true", HostConfig={"Binds": ["used:/d"]})
    answered = await http("POST", f"{version}/volumes/prune", None, filters=json.dumps(filters))
    assert answered.status == 200
    assert sorted("unnamed" if each == unnamed else each for each in answered.body["VolumesDeleted"]) == gone
    assert answered.body["SpaceReclaimed"] > 0
    assert "used" in await listed(http)
