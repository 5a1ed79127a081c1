"""What containers wrote, and what they use: documents that may go on for long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime

from aiohttp import web

from ireko.api.answers import JSON, Outflow, json_answer
from ireko.api.call import Call
from ireko.api.decode.numbers import whole
from ireko.api.encode.stats import Reading, stats
from ireko.api.encode.times import log_time
from ireko.api.hijack import MULTIPLEXED, RAW
from ireko.api.router import Route
from ireko.api.versions import MULTIPLEXED_TYPE
from ireko.engine.loglines import LogLine
from ireko.errors import InvalidInput, NotFound
from ireko.model.framing import frame

_INTERVAL = 1.0
"""Seconds between two readings, as docker has it."""
_MOST_LINES = 1 << 48


async def logs(call: Call, ref: str) -> web.StreamResponse:
    """`docker logs`."""
    query = call.query
    stdout, stderr, timestamps = query.flag("stdout"), query.flag("stderr"), query.flag("timestamps")
    if not (stdout or stderr):
        raise InvalidInput("must specify at least one of 'stdout' or 'stderr'")
    container = call.engine.containers.get(ref)
    lines = call.engine.containers.logs(
        container.id,
        follow=query.flag("follow"),
        tail=_tail(query.text("tail")),
        since=query.moment("since"),
        until=query.moment("until"),
        stdout=stdout,
        stderr=stderr,
    )
    framed = not container.spec.tty
    named = framed and call.version >= MULTIPLEXED_TYPE
    answer = await Outflow.begin(call.request, content_type=MULTIPLEXED if named else RAW)
    async for line in lines:
        data = _dated(line) if timestamps else line.data
        await answer.send(frame(line.stream.value, data) if framed else data)
    return await answer.end()


def _tail(text: str) -> int | None:
    """How many lines; anything but a number means all of them, as docker has it, and so does one that no log has."""
    return whole(text, _MOST_LINES)


def _dated(line: LogLine) -> bytes:
    return line.data if line.goes_on else f"{log_time(line.time)} ".encode() + line.data


async def usage(call: Call, ref: str) -> web.StreamResponse:
    """`docker stats`: one document a second, or a single one with two readings in it."""
    container = call.engine.containers.get(ref)
    if call.query.flag("stream", default=True):
        return await _stream(call, container.id)
    before = None
    if not call.query.flag("one-shot"):
        before = await _read(call, container.id)
        if container.status.has_machine:
            await asyncio.sleep(_INTERVAL)
    return json_answer(stats(container, await _read(call, container.id), before))


async def _stream(call: Call, container_id: str) -> web.StreamResponse:
    answer = await Outflow.begin(call.request, content_type=JSON)
    before = None
    with contextlib.suppress(NotFound):  # removed meanwhile: that is the end
        while True:
            reading = await _read(call, container_id)
            await answer.send_json(stats(call.engine.containers.get(container_id), reading, before))
            before = reading
            await asyncio.sleep(_INTERVAL)
    return await answer.end()


async def _read(call: Call, container_id: str) -> Reading:
    used = await call.engine.containers.usage(container_id)
    return Reading(used, datetime.now(UTC), time.monotonic_ns())


ROUTES = (
    Route("GET", "/containers/{ref}/logs", logs, lasting=True),
    Route("GET", "/containers/{ref}/stats", usage, lasting=True),
)
