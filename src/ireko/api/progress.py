"""Work that takes its time, told line by line as `docker pull` tells it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from aiohttp import web

from ireko.api.answers import Outflow
from ireko.api.call import Call
from ireko.api.status import http_status
from ireko.errors import IrekoError
from ireko.model.image import MIB, SECTOR, Image, ImageConfig
from ireko.model.names import Reference, short
from ireko.model.recipe import Progress

_log = logging.getLogger(__name__)

Line = dict[str, Any]
Result = TypeVar("Result")


class Latest:
    """The newest progress: a slow client misses steps in between, and nothing piles up.

    `subject` is what each line is about. What is counted are `units`; bytes, as clients take them, when that is "".
    """

    def __init__(self, subject: str, *, units: str = "") -> None:
        self._subject = subject
        self._units = units
        self._line: Line | None = None
        self._changed = asyncio.Event()

    def __call__(self, step: str, done: int | None, total: int | None) -> None:
        """Called by the engine."""
        counts = (("current", done), ("total", total))
        detail: dict[str, object] = {name: value for name, value in counts if value is not None}
        if detail and self._units:
            detail["units"] = self._units
        self._line = {"status": step, "progressDetail": detail, "id": self._subject}
        self._changed.set()

    async def lines_until(self, task: asyncio.Task[Any]) -> AsyncIterator[Line]:
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


async def told(
    call: Call,
    latest: Latest,
    work: Callable[[Progress], Coroutine[Any, Any, Result]],
    last: Callable[[Result], Sequence[Line]],
    *,
    first: Sequence[Line] = (),
) -> web.StreamResponse:
    """Do the work and tell of it; `first` and `last` are the lines around its progress. A failure is the last line.

    What a client left behind is not done to its end.
    """
    task = asyncio.create_task(work(latest))
    try:
        answer = await Outflow.begin(call.request)
        for line in first:
            await answer.send_json(line)
        async for line in latest.lines_until(task):
            await answer.send_json(line)
        for line in _last_lines(task, last):
            await answer.send_json(line)
        return await answer.end()
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been told, or nobody is there to be told


async def make(
    call: Call,
    recipe: str,
    *,
    pulled: Reference | None = None,
    source: str | None = None,
    reference: Reference | None = None,
) -> web.StreamResponse:
    """Make an image with a recipe. With `pulled`, `docker pull` of this name is what is answered."""
    images = call.engine.images
    return await told(
        call,
        Latest(recipe, units="steps"),
        lambda progress: images.make(recipe, source=source, reference=reference, progress=progress),
        lambda image: image_lines(image, f"Status: Made image for {pulled}" if pulled else "made"),
        first=[{"status": f"Making {pulled} with the recipe {recipe}", "id": pulled.tag}] if pulled else (),
    )


def image_lines(image: Image, done: str, *, machine: str = "") -> list[Line]:
    """The last lines about an image: what was done, and its id for programs; `machine` is what a machine on it is."""
    status = done if done.startswith("Status:") else f"{done} {short(image.id)}"
    what = f": {machine}" if machine else ""
    return [{"status": status + what}, {"aux": {"ID": image.id}}]


def told_machine(config: ImageConfig, sector_size: int) -> str:
    """What a machine on an image is, for people."""
    boots = "its own kernel" if config.boot else {1: "a BIOS", 2: "UEFI"}[config.generation]
    disk = "" if sector_size == SECTOR else f", a disk with sectors of {sector_size} bytes"
    return f"boots with {boots}, {config.hardware.value} hardware, {config.memory // MIB} MiB of memory{disk}"


def _last_lines(task: asyncio.Task[Result], last: Callable[[Result], Sequence[Line]]) -> Sequence[Line]:
    try:
        return last(task.result())
    except IrekoError as error:
        return [_error_line(http_status(error), error.message, error.hint)]
    except Exception:  # noqa: BLE001 - the border: whatever went wrong is logged, and told without its inside
        reference = secrets.token_hex(4)
        _log.exception("error %s in what takes its time", reference)
        return [_error_line(500, f"internal error {reference}", "the daemon's log has the details")]


def _error_line(code: int, message: str, hint: str) -> Line:
    return {"errorDetail": {"code": code, "message": message}, "error": message, **({"hint": hint} if hint else {})}
