"""A place for what is half-made."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ireko.engine.context import Context
from ireko.model.names import new_id


@contextlib.asynccontextmanager
async def work_folder(context: Context) -> AsyncIterator[Path]:
    """A fresh folder in the root's `tmp/`; it goes with all that is left in it."""
    folder = context.paths.tmp / new_id()
    context.files.make_folder(folder)
    try:
        yield folder
    finally:
        await context.discard(folder)
