"""The files of containers and volumes held against their records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ireko.disk.base import LayerInfo
from ireko.disk.formats import open_layer
from ireko.disk.reference import reference_to
from ireko.engine import creation, lookup, machines
from ireko.engine.context import Context
from ireko.engine.upkeep.faults import REPAIR, Fault, error
from ireko.engine.upkeep.remaking import remade
from ireko.engine.upkeep.sealed import leads_to, parent_named
from ireko.errors import IrekoError
from ireko.guest.identity import Identity
from ireko.host import files
from ireko.model.container import Container
from ireko.model.names import short
from ireko.model.recipe import Progress
from ireko.model.volume import Volume


def of_container(context: Context, container: Container, *, running: bool) -> Iterator[Fault]:
    """What is wrong with a container's files. Of one that runs only what can't change while it does is looked at."""
    name, folder = f"container {container.name}", context.paths.container(container.id)
    disk = context.paths.container_disk(container.id)
    lost = [path for path in (disk, *Identity.paths(folder)) if not _is_there(path)]
    if lost and container.started is None and not running:
        found = f'"{lost[0]}" is missing; it was never started, so that all of it can be made again'
        yield error(name, found, REPAIR, partial(_make_again, context, container))
        return
    if disk in lost:
        remedy = f'put "{disk}" back from a backup, or lose its changes: ireko recreate {container.name}'
        yield error(name, f'its disk "{disk}" is missing', remedy)
        return
    for key in lost:
        mend = None if running else partial(_make_keys, context, container)
        remedy = REPAIR if mend else f"ireko stop {container.name} && {REPAIR}"
        yield error(name, f'the key "{key}" of its guest channel is missing', remedy, mend)
    yield from _disk(context, container, name, disk, running=running)


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


async def _make_again(context: Context, container: Container, _: Progress) -> None:
    creation.mend(context, container)


async def _make_keys(context: Context, container: Container, _: Progress) -> None:
    folder = context.paths.container(container.id)
    with files.told(folder):
        Identity.create().save(folder)


def _disk(context: Context, container: Container, name: str, disk: Path, *, running: bool) -> Iterator[Fault]:
    try:
        with open_layer(disk, format_name=context.driver.abilities.disk_format) as opened:
            info = opened.info
    except IrekoError as damage:
        if not running:
            remedy = f'put "{disk}" back from a backup, or lose its changes: ireko recreate {container.name}'
            yield error(name, damage.message, remedy)
        return
    wanted = context.paths.layer_disk(container.parent)
    if leads_to(info, wanted):
        return
    found = f'its disk names "{parent_named(info) or ""}" as its parent, which must be "{wanted}"'
    if _same_layer(info, container):
        mend = None if running else partial(_relink, context, container)
        yield error(name, found, REPAIR if mend else f"ireko stop {container.name} && {REPAIR}", mend)
    else:
        yield error(
            name, found, f'put "{disk}" back from a backup, or lose its changes: ireko recreate {container.name}'
        )


def _same_layer(info: LayerInfo, container: Container) -> bool:
    """Whether the place that a disk names for its parent has moved, and the layer is the one that is recorded."""
    named = parent_named(info)
    return named is not None and named.parent.name == container.parent


async def _relink(context: Context, container: Container, progress: Progress) -> None:
    layer = lookup.layer(context.database, container.parent)
    machines.check_sealed(context, layer)
    disk = context.paths.container_disk(container.id)
    with open_layer(context.paths.layer_disk(layer.id)) as below:
        reference = reference_to(below.info, disk)
    async with remade(context, disk, f"relinking {container.name}", parent=reference, progress=progress) as new:
        context.files.move(new, disk)


def of_volume(context: Context, volume: Volume) -> Iterator[Fault]:
    """Whether a volume's disk is there."""
    path = context.paths.volume_disk(volume.name)
    if not _is_there(path):
        name = volume.name if len(volume.name) < 64 else short(volume.name)
        remedy = f'put "{path}" back from a backup, or give it up: ireko volume rm {volume.name}'
        yield error(f"volume {name}", f'its disk "{path}" is missing', remedy)
