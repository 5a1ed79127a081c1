"""Versions, paths, queries and bodies, whatever the route."""

from __future__ import annotations

import io
import json

import pytest

from .conftest import Daemon, Http


class TestVersions:
    @pytest.mark.parametrize("path", ["/version", "/v1.24/version", "/v1.43/version", "/v1.47/version"])
    async def test_those_that_are_spoken(self, http: Http, path: str) -> None:
        answered = await http("GET", path)
        assert answered.status == 200
        assert (answered.body["ApiVersion"], answered.body["MinAPIVersion"]) == ("1.47", "1.24")

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/v1.48/version", "client version 1.48 is too new. Maximum supported API version is 1.47"),
            ("/v2.0/version", "client version 2.0 is too new. Maximum supported API version is 1.47"),
            ("/v1.23/version", "client version 1.23 is too old. Minimum supported API version is 1.24"),
        ],
    )
    async def test_those_that_are_not(self, http: Http, path: str, said: str) -> None:
        answered = await http("GET", path)
        assert answered.status == 400
        assert answered.body["message"].startswith(said)

    @pytest.mark.parametrize("path", ["/_ping", "/v1.47/_ping"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_ping_tells_what_a_client_asks_first(self, http: Http, method: str, path: str) -> None:
        answered = await http(method, path)
        assert (answered.status, answered.body) == (200, "OK" if method == "GET" else "")
        assert answered.headers["Api-Version"] == "1.47"
        assert answered.headers["Ostype"] == "linux"
        assert answered.headers["Docker-Experimental"] == "false"
        assert answered.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
        assert answered.headers["Content-Type"] == "text/plain; charset=utf-8"


class TestPaths:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/nowhere"),
            ("GET", "/"),
            ("POST", "/version"),
            ("GET", "/containers"),
            ("GET", "/v1.47"),
            ("PUT", "/info"),
        ],
    )
    async def test_what_is_not_there(self, http: Http, method: str, path: str) -> None:
        answered = await http(method, path)
        assert (answered.status, answered.body) == (404, {"message": "page not found"})

    async def test_a_name_may_be_quoted(self, http: Http) -> None:
        await http("POST", "/images/nano/tag", repo="group/deep/name", tag="1")
        for written in ("group/deep/name:1", "group%2Fdeep%2Fname%3A1"):
            assert (await http("GET", f"/images/{written}/json")).status == 200

    async def test_web_pages_are_refused(self, http: Http) -> None:
        for origin in ("https://example.com", "null"):
            async with http.session.get("http://d/info", headers={"Origin": origin}) as response:
                assert response.status == 403


class TestQueries:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [("1", True), ("true", True), ("True", True), ("anything", True), ("0", False), ("false", False), ("", False)],
    )
    async def test_flags(self, http: Http, written: str, meant: bool) -> None:
        await http.create("true")
        assert bool((await http("GET", "/containers/json", all=written)).body) is meant

    async def test_a_number_that_is_none(self, http: Http) -> None:
        answered = await http("GET", "/containers/json", limit="many")
        assert answered.status == 400
        assert answered.body["message"] == 'invalid value for "limit": "many" is no whole number'

    async def test_a_time_that_is_none(self, http: Http) -> None:
        answered = await http("GET", "/events", since="yesterday")
        assert (answered.status, answered.body["message"]) == (400, 'invalid value for "since": "yesterday" is no time')

    @pytest.mark.parametrize("written", ["{", "[]", '{"name": "web"}', '{"name": [1]}'])
    async def test_filters_that_are_none(self, http: Http, written: str) -> None:
        answered = await http("GET", "/containers/json", filters=written)
        assert answered.status == 400
        assert answered.body["message"].startswith("invalid filter")

    async def test_filters_as_old_clients_write_them(self, http: Http) -> None:
        await http.create("true", name="web")
        answered = await http("GET", "/containers/json", all="1", filters=json.dumps({"name": {"web": True}}))
        assert [row["Names"] for row in answered.body] == [["/web"]]


class TestBodies:
    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"\xff", b'{"Image": 1}', b'{"Image": "nano", "Env": "A=b"}', b'{"HostConfig": []}']
    )
    async def test_one_that_can_t_be_read(self, http: Http, body: bytes) -> None:
        async with http.session.post("http://d/containers/create", data=body) as response:
            assert response.status == 400
            assert (await response.json())["message"].startswith("the request's body can't be read: ")

    @pytest.mark.parametrize("body", [b"", b"null", b"  "])
    async def test_none_is_an_empty_one(self, http: Http, body: bytes) -> None:
        async with http.session.post("http://d/containers/create", data=body) as response:
            assert (await response.json())["message"] == "no image was named"

    async def test_one_that_is_too_large(self, http: Http) -> None:
        async with http.session.post("http://d/containers/create", data=io.BytesIO(b" " * (9 << 20))) as response:
            assert response.status == 400
            assert "is larger than" in (await response.json())["message"]

    async def test_null_and_unknown_fields_are_nothing(self, http: Http) -> None:
        body = {"Image": "nano", "Cmd": None, "Env": None, "Labels": None, "HostConfig": None, "Unheard": {"of": 1}}
        assert (await http("POST", "/containers/create", body)).status == 201


async def test_a_request_that_is_no_http(daemon: Daemon) -> None:
    reader, writer = await daemon.connect()
    writer.write(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400") or (await reader.read()) == b""
    writer.close()
    reader, writer = await daemon.connect()
    writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_an_inner_error_is_told_without_its_inside(daemon: Daemon, http: Http, caplog) -> None:
    daemon.engine.system.tree = lambda: 1 / 0  # type: ignore[method-assign,assignment]
    answered = await http("GET", "/ireko/tree")
    assert answered.status == 500
    reference = answered.body["message"].removeprefix("internal error ")
    assert reference in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "division" not in answered.body["message"]
