"""Images: listed, named, made, removed."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Http

ID = re.compile(r"sha256:[0-9a-f]{64}")


async def commit(http: Http, name: str = "", tag: str = "1") -> str:
    """An image on nano, with a label."""
    ref = await http.create("true", Labels={"tier": "web"})
    query = {"repo": name, "tag": tag} if name else {}
    made = await http("POST", "/commit", None, container=ref, **query)
    await http("DELETE", f"/containers/{ref}")
    identifier: str = made.body["Id"]
    return identifier


class TestList:
    async def test_a_row(self, http: Http) -> None:
        (row,) = (await http("GET", "/images/json")).body
        assert ID.fullmatch(row["Id"])
        assert (row["RepoTags"], row["RepoDigests"], row["ParentId"]) == (["nano:latest"], [], "")
        assert row["Size"] > 0
        assert isinstance(row["Created"], int)
        assert (row["SharedSize"], row["Containers"], row["Labels"]) == (-1, -1, {})

    async def test_what_is_shared_when_it_is_asked_for(self, http: Http) -> None:
        await commit(http, "web", "1")
        await http.create("true", image="web:1")
        above, below = (await http("GET", "/images/json", None, **{"shared-size": "1"})).body
        assert (above["RepoTags"], above["Containers"], below["Containers"]) == (["web:1"], 1, 0)
        assert below["SharedSize"] == below["Size"] == above["SharedSize"]
        assert above["Size"] > above["SharedSize"]

    @pytest.mark.parametrize(
        ("filters", "shown"),
        [
            ({"reference": ["web"]}, ["web:1", "web:2"]),
            ({"reference": ["w*:1"]}, ["web:1"]),
            ({"reference": ["nano", "web:2"]}, ["web:2", "nano:latest"]),
            ({"label": ["tier=web"]}, ["web:1", "web:2"]),
            ({"label": ["tier=db"]}, []),
            ({"dangling": ["false"]}, ["web:1", "web:2", "nano:latest"]),
            ({"before": ["web:1"]}, ["nano:latest"]),
            ({"since": ["nano"]}, ["web:1", "web:2"]),
            ({"until": ["24h"]}, []),
        ],
    )
    async def test_filters(self, http: Http, filters: dict[str, list[str]], shown: list[str]) -> None:
        await commit(http, "web")
        await http("POST", "/images/web:1/tag", None, repo="web", tag="2")
        rows = (await http("GET", "/images/json", None, filters=json.dumps(filters))).body
        assert [name for row in rows for name in row["RepoTags"]] == shown

    async def test_one_without_a_name(self, http: Http) -> None:
        identifier = await commit(http)
        (row,) = (await http("GET", "/images/json", None, filters='{"dangling": ["true"]}')).body
        assert (row["Id"], row["RepoTags"]) == (identifier, [])

    async def test_a_filter_that_is_none(self, http: Http) -> None:
        assert (await http("GET", "/images/json", None, filters='{"colour": ["red"]}')).status == 400
        assert (await http("GET", "/images/json", None, filters='{"dangling": ["maybe"]}')).status == 400


class TestInspect:
    async def test_what_is_shown(self, http: Http) -> None:
        found = (await http("GET", "/images/nano/json")).body
        assert ID.fullmatch(found["Id"])
        assert (found["RepoTags"], found["Os"], found["Architecture"]) == (["nano:latest"], "linux", "amd64")
        assert (found["Config"]["Cmd"], found["Config"]["Entrypoint"]) == (["/bin/sh"], None)
        assert found["RootFS"]["Type"] == "layers"
        assert len(found["RootFS"]["Layers"]) == 1
        assert found["GraphDriver"]["Name"] == "qcow2"

    async def test_by_id(self, http: Http) -> None:
        identifier = (await http("GET", "/images/nano/json")).body["Id"]
        digits = identifier.removeprefix("sha256:")
        for written in (identifier, digits, digits[:12], "nano:latest", "docker.io/library/nano"):
            assert (await http("GET", f"/images/{written}/json")).body["Id"] == identifier

    async def test_layers_stand_on_their_parent_s(self, http: Http) -> None:
        identifier = await commit(http, "web")
        below, found = [(await http("GET", f"/images/{name}/json")).body for name in ("nano", "web:1")]
        assert (found["Id"], found["Parent"]) == (identifier, below["Id"])
        assert found["RootFS"]["Layers"][:-1] == below["RootFS"]["Layers"]

    @pytest.mark.parametrize(
        ("name", "status"),
        [("nobody", 404), ("nobody:1", 404), ("UPPER", 400), ("nano@sha256:00", 400), ("0123456789ab", 404)],
    )
    async def test_what_is_not_there(self, http: Http, name: str, status: int) -> None:
        for path in ("json", "history"):
            assert (await http("GET", f"/images/{name}/{path}")).status == status
        assert (await http("DELETE", f"/images/{name}")).status == status


async def test_history(http: Http) -> None:
    ref = await http.create("sh", "-c", "true")
    await http("POST", "/commit", None, container=ref, repo="web", comment="note")
    top, base = (await http("GET", "/images/web/history")).body
    assert (top["Tags"], top["Comment"], top["CreatedBy"]) == (["web:latest"], "note", "sh -c true")
    assert (base["Tags"], base["CreatedBy"]) == (["nano:latest"], "recipe nano")
    assert all(ID.fullmatch(row["Id"]) and row["Size"] > 0 and isinstance(row["Created"], int) for row in (top, base))


class TestTag:
    async def test_one_more_name(self, http: Http) -> None:
        assert (await http("POST", "/images/nano/tag", None, repo="group/name", tag="2")).status == 201
        assert (await http("GET", "/images/nano/json")).body["RepoTags"] == ["group/name:2", "nano:latest"]

    async def test_a_name_moves(self, http: Http) -> None:
        identifier = await commit(http)
        await http("POST", f"/images/{identifier}/tag", None, repo="nano")
        assert (await http("GET", "/images/nano/json")).body["Id"] == identifier

    @pytest.mark.parametrize(
        ("name", "query", "status"), [("nobody", {"repo": "xx"}, 404), ("nano", {"repo": "XX"}, 400), ("nano", {}, 400)]
    )
    async def test_what_is_refused(self, http: Http, name: str, query: dict[str, str], status: int) -> None:
        assert (await http("POST", f"/images/{name}/tag", None, **query)).status == status


class TestRemove:
    async def test_a_name_then_the_image(self, http: Http) -> None:
        identifier = await commit(http, "web")
        await http("POST", "/images/web:1/tag", None, repo="web", tag="2")
        assert (await http("DELETE", "/images/web:2")).body == [{"Untagged": "web:2"}]
        assert (await http("DELETE", "/images/web:1")).body == [{"Untagged": "web:1"}, {"Deleted": identifier}]
        assert (await http("GET", f"/images/{identifier}/json")).status == 404

    async def test_an_id_with_several_names_must_be_forced(self, http: Http) -> None:
        identifier = await commit(http, "web")
        await http("POST", "/images/web:1/tag", None, repo="web", tag="2")
        answered = await http("DELETE", f"/images/{identifier}")
        assert answered.status == 409
        assert "must be forced" in answered.body["message"]
        done = (await http("DELETE", f"/images/{identifier}", None, force="1")).body
        assert done == [{"Untagged": "web:1"}, {"Untagged": "web:2"}, {"Deleted": identifier}]

    async def test_one_that_a_container_needs(self, http: Http) -> None:
        ref = await http.create("true", name="web")
        answered = await http("DELETE", "/images/nano")
        assert answered.status == 409
        assert f"container {ref[:12]} (web) is using its referenced image" in answered.body["message"]


class TestPull:
    async def lines(self, http: Http, **query: str) -> list[dict[str, object]]:
        async with http.session.post("http://d/images/create", params=query) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            return [json.loads(line) async for line in response.content]

    async def test_an_image_that_a_recipe_makes(self, http: Http) -> None:
        lines = await self.lines(http, fromImage="docker.io/library/debian", tag="12")
        assert lines[0] == {"status": "Making debian:12 with the recipe debian", "id": "12"}
        made, last = lines[-2:]
        assert made == {"status": "Status: Made image for debian:12"}
        assert last == {"aux": {"ID": (await http("GET", "/images/debian:12/json")).body["Id"]}}

    @pytest.mark.parametrize(
        ("query", "status", "said"),
        [
            ({"fromImage": "nobody"}, 404, "no recipe makes nobody:latest"),
            ({"fromImage": "UPPER"}, 400, "invalid reference format"),
            ({"fromSrc": "-"}, 501, "images can't be made of archives"),
            ({}, 400, "no image was named"),
        ],
    )
    async def test_what_is_refused(self, http: Http, query: dict[str, str], status: int, said: str) -> None:
        answered = await http("POST", "/images/create", None, **query)
        assert answered.status == status
        assert said in answered.body["message"]


class TestPrune:
    async def prune(self, http: Http, **filters: list[str]) -> list[str]:
        answered = await http("POST", "/images/prune", None, filters=json.dumps(filters))
        assert answered.status == 200
        return [each["Deleted"] for each in answered.body["ImagesDeleted"] or [] if "Deleted" in each]

    async def test_those_without_a_name(self, http: Http) -> None:
        named, unnamed = await commit(http, "web"), await commit(http)
        assert await self.prune(http) == [unnamed]
        assert await self.prune(http) == []
        assert named in await self.prune(http, dangling=["false"])

    async def test_filters(self, http: Http) -> None:
        unnamed = await commit(http)
        assert await self.prune(http, label=["tier=db"]) == []
        assert await self.prune(http, **{"label!": ["tier"]}) == []
        assert await self.prune(http, until=["24h"]) == []
        assert await self.prune(http, label=["tier=web"]) == [unnamed]
        assert (await http("POST", "/images/prune", None, filters='{"name": ["x"]}')).status == 400
