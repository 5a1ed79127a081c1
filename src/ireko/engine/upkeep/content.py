"""Reading disks: every structure, and all data when it is wanted. A thread does it; nothing is written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ireko.disk.base import Layer as OpenLayer
from ireko.disk.base import Progress as Steps
from ireko.disk.delta import chain_id, diff_id
from ireko.disk.errors import DiskError
from ireko.disk.formats import open_layer
from ireko.engine import chains, diskwork, linked
from ireko.engine.context import Context
from ireko.engine.upkeep.faults import Fault, error
from ireko.errors import Conflict, Damaged
from ireko.model.image import Layer, LinkedFile
from ireko.model.recipe import Progress

_MOST = 5
"""Problems of one disk that are told; a damaged table may have millions."""


@dataclass(frozen=True)
class Content:
    """What was read. `diff_id` is "" when the data was not, or could not be read; `opened`: it is a disk at all.

    `linked` are the files of somebody else's that were read too, as they were then.
    """

    problems: tuple[str, ...]
    diff_id: str = ""
    opened: bool = True
    linked: tuple[LinkedFile, ...] = ()

    def faults(self, name: str, path: Path, *, told: Sequence[Fault]) -> list[Fault]:
        """The problems as faults of what the disk belongs to, `told` are those that are known already."""
        if told and not self.opened:
            return []
        remedy = f'put "{path}" back from a backup, or make anew what stands on it'
        faults = [error(name, each, remedy) for each in self.problems[:_MOST]]
        if len(self.problems) > _MOST:
            faults.append(error(name, f'its disk "{path}" has more problems than these', f'ireko disk check "{path}"'))
        return faults


async def read(context: Context, path: Path, name: str, *, deep: bool, progress: Progress) -> Content:
    """Look at every structure of a disk, and with `deep` at all data."""
    opened = partial(open_layer, path, format_name=context.driver.abilities.disk_format)
    return await diskwork.do(f"checking {name}", lambda steps: _read(path, opened, steps, deep=deep), progress=progress)


async def read_layer(context: Context, layer: Layer, name: str, *, deep: bool, progress: Progress) -> Content:
    """The same for a layer; `deep` reads what it is linked to as well, unless that is missing, in use or changes meanwhile."""
    path = context.paths.layer_disk(layer.id)
    if not (deep and layer.linked):
        return await read(context, path, name, deep=deep, progress=progress)
    try:
        before = linked.as_they_are(layer.linked)
        opened = partial(chains.source_of, context, layer)
        found = await diskwork.do(
            f"checking {name}", lambda steps: _read(path, opened, steps, deep=True), progress=progress
        )
        unchanged = linked.as_they_are(layer.linked) == before
    except (Conflict, Damaged):  # that is told by who holds it against the record
        return await read(context, path, name, deep=False, progress=progress)
    return replace(found, linked=before) if unchanged else replace(found, diff_id="")


def _read(path: Path, opened: Callable[[], OpenLayer], steps: Steps, *, deep: bool) -> Content:
    problems: list[str] = []
    try:
        layer = opened()
    except DiskError as damage:
        return Content((damage.message,), opened=False)
    with layer:
        problems += [f'its disk "{path}": {each}' for each in itertools.islice(layer.check(steps), _MOST + 1)]
        try:
            return Content(tuple(problems), diff_id(layer, steps) if deep else "")
        except DiskError as damage:
            return Content((*problems, damage.message))


def shown(context: Context, layer: Layer, content: Content) -> str:
    """The chain id that follows from what was read and from what is recorded of the layer's parent; "" when that isn't known."""
    if not content.diff_id or (layer.linked and not content.linked):
        return ""
    if layer.parent is None:
        return content.diff_id
    below = context.database.layers.get(layer.parent)
    return chain_id(below.chain_id, content.diff_id) if below is not None and below.chain_id else ""
