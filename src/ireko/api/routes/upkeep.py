"""Disks made small, and what is written down held against what is there."""

from __future__ import annotations

from aiohttp import web

from ireko.api.call import Call
from ireko.api.encode.upkeep import compacted
from ireko.api.progress import Latest, told
from ireko.api.router import Route


async def compact(call: Call) -> web.StreamResponse:
    """Give back what zeros and unused blocks take."""
    compactor = call.engine.compactor
    return await told(
        call,
        Latest("compact"),
        lambda progress: compactor.compact(progress=progress),
        lambda done: [{"aux": compacted(done)}],
    )


ROUTES = (Route("POST", "/ireko/compact", compact, lasting=True),)
