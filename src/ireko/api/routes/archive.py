"""Files in and out of containers."""

from __future__ import annotations

from aiohttp import web

from ireko.api.answers import HEADERS, Outflow, empty_answer
from ireko.api.call import Call
from ireko.api.encode.files import path_stat_header
from ireko.api.router import Route
from ireko.errors import InvalidInput

_TAR = "application/x-tar"


async def stat(call: Call, ref: str) -> web.StreamResponse:
    """What is at a path."""
    entry = await call.engine.containers.stat(ref, _path(call))
    return web.Response(headers={**HEADERS, **path_stat_header(entry)})


async def get(call: Call, ref: str) -> web.StreamResponse:
    """`docker cp` out of a container."""
    entry, pieces = await call.engine.containers.archive(ref, _path(call))
    answer = await Outflow.begin(call.request, content_type=_TAR, headers=path_stat_header(entry))
    async for piece in pieces:
        await answer.send(piece)
    return await answer.end()


async def put(call: Call, ref: str) -> web.StreamResponse:
    """`docker cp` into a container."""
    await call.engine.containers.unpack(ref, _path(call), call.pieces())
    return empty_answer(200)


def _path(call: Call) -> str:
    path = call.query.text("path")
    if not path:
        raise InvalidInput("missing the path", hint="?path=/etc/hosts")
    return path


ROUTES = (
    Route("HEAD", "/containers/{ref}/archive", stat),
    Route("GET", "/containers/{ref}/archive", get, lasting=True),
    Route("PUT", "/containers/{ref}/archive", put, lasting=True),
)
