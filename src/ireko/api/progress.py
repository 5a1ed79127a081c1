"""An image that is being made, told line by line as `docker pull` tells it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from ireko.api.answers import Outflow
from ireko.api.call import Call
from ireko.api.status import http_status
from ireko.errors import IrekoError
from ireko.model.image import Image
from ireko.model.names import Reference, short

Line = dict[str, Any]


class Latest:
    """The newest progress: a slow client misses steps in between, and nothing piles up."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._line: Line | None = None
        self._changed = asyncio.Event()

    def __call__(self, step: str, done: int | None, total: int | None) -> None:
        """Called by the engine."""
        counts = (("current", done), ("total", total))
        detail: dict[str, object] = {name: value for name, value in counts if value is not None}
        if detail:
            detail["units"] = "steps"  # without it, clients take these for bytes
        self._line = {"status": step, "progressDetail": detail, "id": self._recipe}
        self._changed.set()

    async def lines_until(self, task: asyncio.Task[Image]) -> AsyncIterator[Line]:
        """Progress as it comes, until the task is done."""
        task.add_done_callback(lambda _: self._changed.set())
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._line is not None:
                line, self._line = self._line, None
                yield line
            if task.done():
                return


async def make(
    call: Call,
    recipe: str,
    *,
    pulled: Reference | None = None,
    source: str | None = None,
    reference: Reference | None = None,
) -> web.StreamResponse:
    """Make the image; a failure is the last line. With `pulled`, `docker pull` of this name is what is answered.

    What a client left behind is not made to its end.
    """
    latest = Latest(recipe)
    making = asyncio.create_task(call.engine.images.make(recipe, source=source, reference=reference, progress=latest))
    try:
        answer = await Outflow.begin(call.request)
        if pulled:
            await answer.send_json({"status": f"Making {pulled} with the recipe {recipe}", "id": pulled.tag})
        async for line in latest.lines_until(making):
            await answer.send_json(line)
        for line in _last_lines(making, pulled):
            await answer.send_json(line)
        return await answer.end()
    finally:
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError, IrekoError):
            await making


def _last_lines(making: asyncio.Task[Image], pulled: Reference | None) -> list[Line]:
    try:
        image = making.result()
    except IrekoError as error:
        detail = {"code": http_status(error), "message": error.message}
        return [{"errorDetail": detail, "error": error.message, **({"hint": error.hint} if error.hint else {})}]
    made = f"Status: Made image for {pulled}" if pulled else f"made {short(image.id)}"
    return [{"status": made}, {"aux": {"ID": image.id}}]
