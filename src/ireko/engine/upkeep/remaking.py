"""A disk's file made anew in the folder for half-made things, to take the old one's place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ireko.disk.base import ParentReference
from ireko.disk.operations.remake import remake
from ireko.disk.use import refuse_use
from ireko.engine import diskwork
from ireko.engine.context import Context
from ireko.model.recipe import Progress


@contextlib.asynccontextmanager
async def remade(
    context: Context,
    disk: Path,
    step: str,
    *,
    parent: ParentReference | None = None,
    smaller: bool = False,
    progress: Progress,
) -> AsyncIterator[Path]:
    """A new file as `remake` writes it, complete and on the disk; deleted in the end unless it was moved away.

    Raises Conflict when a machine writes to the disk, before or after; NoSpace; and what reading it raises.
    """
    form = context.driver.abilities.disk_format
    refuse_use(disk)
    async with context.work_folder() as folder:
        new = folder / disk.name
        await diskwork.do(
            step,
            lambda steps: remake(disk, new, parent=parent, smaller=smaller, format_name=form, progress=steps),
            progress=progress,
        )
        refuse_use(disk)
        yield new
