"""Disks made small, and what is written down held against what is there."""

from __future__ import annotations

from aiohttp import web

from ireko.api.call import Call
from ireko.api.encode.upkeep import checked, compacted
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


async def check(call: Call) -> web.StreamResponse:
    """Hold the database against the files, and look every chain through."""
    deep, repair = call.query.flag("deep"), call.query.flag("repair")
    checker = call.engine.checker
    return await told(
        call,
        Latest("check"),
        lambda progress: checker.check(deep=deep, repair=repair, progress=progress),
        lambda done: [{"aux": checked(done)}],
    )


ROUTES = (
    Route("POST", "/ireko/compact", compact, lasting=True),
    Route("POST", "/ireko/check", check, lasting=True),
)
