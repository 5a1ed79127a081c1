"""Answers: JSON, none at all, errors, and streams that begin before they are known to the end."""

from __future__ import annotations

import platform
from typing import Any

import msgspec
from aiohttp import web

from ireko import __version__
from ireko.api.status import http_status
from ireko.api.versions import CURRENT
from ireko.errors import IrekoError

JSON = "application/json"
HEADERS = {
    "Api-Version": str(CURRENT),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"ireko/{__version__} ({platform.system().lower()})",
}
"""What every answer carries. `Ostype` is the guests' system, which is what clients ask it for."""

_encode = msgspec.json.Encoder().encode


def json_answer(value: Any, *, status: int = 200) -> web.Response:
    """A JSON document."""
    return web.Response(body=_encode(value) + b"\n", status=status, content_type=JSON, headers=HEADERS)


def empty_answer(status: int = 204) -> web.Response:
    """Done, and nothing to tell."""
    return web.Response(status=status, headers=HEADERS)


def error_answer(status: int, message: str, *, hint: str = "") -> web.Response:
    """docker's error body; `hint` is ours, and docker's clients ignore it."""
    return json_answer({"message": message, "hint": hint} if hint else {"message": message}, status=status)


def refusal(error: IrekoError) -> web.Response:
    """The answer to a request that ended in an error of ours."""
    status = http_status(error)
    return (
        empty_answer(status)
        if status == web.HTTPNotModified.status_code
        else error_answer(status, error.message, hint=error.hint)
    )


class Outflow:
    """An answer that is sent piece by piece; sending waits while the client does not keep up."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    @classmethod
    async def begin(
        cls, request: web.BaseRequest, *, content_type: str = JSON, headers: dict[str, str] | None = None
    ) -> Outflow:
        """Send the headers, at once."""
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": content_type, **(headers or {})})
        await response.prepare(request)
        return cls(response)

    async def send(self, data: bytes) -> None:
        """Send a piece. Raises ConnectionError when the client is gone."""
        await self.response.write(data)

    async def send_json(self, value: Any) -> None:
        """Send a JSON document as a line of its own."""
        await self.send(_encode(value) + b"\r\n")

    async def end(self) -> web.StreamResponse:
        """Send the end."""
        await self.response.write_eof()
        return self.response
