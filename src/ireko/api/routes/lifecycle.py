"""Containers: started, stopped, waited for."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ireko.api.answers import Outflow, empty_answer
from ireko.api.call import Call
from ireko.api.decode.signals import signal_number
from ireko.api.router import Route

_SIGKILL = 9


async def start(call: Call, ref: str) -> web.StreamResponse:
    """`docker start`."""
    await call.engine.containers.start(ref)
    return empty_answer()


async def stop(call: Call, ref: str) -> web.StreamResponse:
    """`docker stop`."""
    signal = signal_number(call.query.text("signal"))
    await call.engine.containers.stop(ref, timeout=call.query.number("t"), signal=signal)
    return empty_answer()


async def restart(call: Call, ref: str) -> web.StreamResponse:
    """`docker restart`."""
    signal = signal_number(call.query.text("signal"))
    await call.engine.containers.restart(ref, timeout=call.query.number("t"), signal=signal)
    return empty_answer()


async def kill(call: Call, ref: str) -> web.StreamResponse:
    """`docker kill`."""
    await call.engine.containers.kill(ref, signal=signal_number(call.query.text("signal")) or _SIGKILL)
    return empty_answer()


async def pause(call: Call, ref: str) -> web.StreamResponse:
    """`docker pause`."""
    await call.engine.containers.pause(ref)
    return empty_answer()


async def unpause(call: Call, ref: str) -> web.StreamResponse:
    """`docker unpause`."""
    await call.engine.containers.unpause(ref)
    return empty_answer()


async def resize(call: Call, ref: str) -> web.StreamResponse:
    """Tell the container's terminal its size."""
    await call.engine.containers.resize(ref, rows=call.query.size("h"), columns=call.query.size("w"))
    return empty_answer(200)


async def wait(call: Call, ref: str) -> web.StreamResponse:
    """`docker wait`. The headers say that it is registered: `docker run` starts the container only then."""
    condition = call.query.text("condition") or "not-running"
    waiting = asyncio.create_task(call.engine.containers.wait(ref, condition=condition))
    try:
        await asyncio.sleep(0)  # it is registered with its first step, which also finds out what is wrong
        if waiting.done():
            waiting.result()
        answer = await Outflow.begin(call.request)
        ended = await waiting
    finally:
        waiting.cancel()
    # docker's `Error` says that waiting failed, and makes `docker run` end with 125: how the container ended is no error.
    await answer.send_json({"StatusCode": ended.exit_code})
    return await answer.end()


ROUTES = (
    Route("POST", "/containers/{ref}/start", start),
    Route("POST", "/containers/{ref}/stop", stop),
    Route("POST", "/containers/{ref}/restart", restart),
    Route("POST", "/containers/{ref}/kill", kill),
    Route("POST", "/containers/{ref}/pause", pause),
    Route("POST", "/containers/{ref}/unpause", unpause),
    Route("POST", "/containers/{ref}/resize", resize),
    Route("POST", "/containers/{ref}/wait", wait, lasting=True),
)
