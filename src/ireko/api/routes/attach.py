"""Being connected to processes: attach."""

from __future__ import annotations

from collections.abc import Container as Collection

from aiohttp import web

from ireko.api.call import Call
from ireko.api.connect import connect
from ireko.api.router import Route
from ireko.drivers.base import Stream


async def attach(call: Call, ref: str) -> web.StreamResponse:
    """`docker attach`, and what `docker run` does before it starts the container."""
    query, engine = call.query, call.engine
    container = engine.containers.get(ref)
    attachment = await engine.containers.attach(container.id, logs=query.flag("logs"), stream=query.flag("stream"))
    return await connect(
        call,
        attachment,
        takes_input=query.flag("stdin") and query.flag("stream"),
        streams=_wanted(stdout=query.flag("stdout"), stderr=query.flag("stderr")),
        multiplexed=not container.spec.tty,
    )


def _wanted(*, stdout: bool, stderr: bool) -> Collection[Stream]:
    return {stream for stream, yes in ((Stream.STDOUT, stdout), (Stream.STDERR, stderr)) if yes}


ROUTES = (Route("POST", "/containers/{ref}/attach", attach, lasting=True),)
