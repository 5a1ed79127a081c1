"""Containers that become machines of their own. Paths are those of this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec
from aiohttp import web

from ireko.api.call import Call
from ireko.api.progress import Latest, Line, told
from ireko.api.router import Route
from ireko.engine.promotion import Promoted, Wish
from ireko.errors import InvalidInput


class PromoteBody(msgspec.Struct, rename="pascal"):
    """`POST /ireko/containers/{ref}/promote`. `path` is the machine's folder; "" elsewhere is the driver's own, and no."""

    path: str = ""
    format: str = ""
    register: str = ""
    move: bool = False


async def promote(call: Call, ref: str) -> web.StreamResponse:
    """Make a machine that runs without us."""
    body = await call.body(PromoteBody)
    if not body.path:
        raise InvalidInput("no folder was named for the machine")
    wish = Wish(Path(body.path), body.format, body.register, body.move)
    return await told(
        call,
        Latest(call.engine.containers.get(ref).name),
        lambda progress: call.engine.promoter.promote(ref, wish, progress=progress),
        _last,
    )


def _last(promoted: Promoted) -> list[Line]:
    return [
        {"status": f"promoted {promoted.container}"},
        {
            "aux": {
                "Path": str(promoted.place),
                "Disk": promoted.disk,
                "Files": list(promoted.files),
                "Warnings": list(promoted.warnings),
            }
        },
    ]


ROUTES = (Route("POST", "/ireko/containers/{ref}/promote", promote, lasting=True),)
