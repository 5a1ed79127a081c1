"""Work on disk files takes its time and blocks: it is done by a thread, told of as it goes, and stopped when nobody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ireko.disk import base
from ireko.model.recipe import Progress

Result = TypeVar("Result")
_STEPS = 100
"""How often one piece of work is told of, at most."""


async def do(step: str, job: Callable[[base.Progress], Result], *, progress: Progress) -> Result:
    """Have a thread do a job, telling `progress` how many bytes of `step` are done.

    When it is cancelled the job stops at its next piece, and has stopped when the cancellation comes through.
    """
    loop = asyncio.get_running_loop()
    told = -1

    def report(done: int, total: int) -> None:
        nonlocal told
        share = done * _STEPS // total if total else 0
        if share != told:
            told = share
            loop.call_soon_threadsafe(progress, step, done, total)

    progress(step, None, None)
    steps = base.Progress(report)
    return await stoppable(lambda: job(steps), steps)


async def stoppable(job: Callable[[], Result], steps: base.Progress) -> Result:
    """Have a thread do a job that looks at `steps`. When it is cancelled the job is stopped so, and has then stopped."""
    work = asyncio.create_task(asyncio.to_thread(job))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        steps.cancel()
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # what it ended with, now that nobody asks for it, is no news
        raise
