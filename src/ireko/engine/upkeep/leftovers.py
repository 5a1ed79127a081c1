"""Files and folders that no record knows. They may be somebody's only copy, so they are put aside rather than deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from ireko.engine import layers, mounts
from ireko.engine.context import Context
from ireko.engine.upkeep.faults import REPAIR, Fault, warning
from ireko.errors import Conflict
from ireko.model.names import new_id, short
from ireko.model.recipe import Progress

_ID_LENGTH = len(new_id())


def without_record(context: Context) -> Iterator[Fault]:
    """What lies among layers, containers, volumes and kernels; what is being made or removed right now is left out."""
    for entry in _strays(context):
        found = f'there is no record of "{entry}": a repair moves it to "{context.paths.lost}"'
        yield warning(_name(context, entry), found, REPAIR, partial(_put_aside, context, entry))


def _strays(context: Context) -> list[Path]:
    busy = [each for each in _strange_containers(context) if context.locks.taken(each.name)]
    strange = [each for each in _strange_containers(context) if each not in busy]
    if not busy:  # a container that is going takes layers along
        strange += _strange(context, context.paths.layers, "layers", context.database.layers)
    strange += [
        each
        for each in _strange(context, context.paths.volumes, "volumes", context.database.volumes)
        if not context.locks.taken(f"volume {each.name}")
    ]
    return [*strange, *sorted(layers.unused_boots(context))]


def _strange_containers(context: Context) -> list[Path]:
    return _strange(context, context.paths.containers, "containers", context.database.containers)


def _strange(context: Context, folder: Path, table: str, records: Iterable[str]) -> list[Path]:
    known = {*records, *context.database.broken_keys(table), *mentioned(context)}
    return sorted(entry for entry in folder.iterdir() if entry.name not in known)


def mentioned(context: Context) -> set[str]:
    """The ids and names that records and operations in progress speak of, whether they have records of their own or not."""
    database = context.database
    found = {name for each in database.operations.values() for name in (each.layer, each.container)}
    for image in database.images.values():
        found.update(image.layers)
    found.update(layer.parent for layer in database.layers.values() if layer.parent)
    for container in database.containers.values():
        found.update((container.parent, *mounts.volumes(container)))
    return found


def _name(context: Context, entry: Path) -> str:
    """Its place in the root, with short ids."""
    parts = entry.relative_to(context.paths.root).parts
    return "/".join(short(part) if len(part) == _ID_LENGTH else part for part in parts)


async def _put_aside(context: Context, entry: Path, _: Progress) -> None:
    """Move it to `lost`, under a name that says where it was. Raises Conflict for what a machine runs in, or somebody uses."""
    if entry.parent == context.paths.containers and (machine := await context.driver.find(entry)) is not None:
        await machine.close()
        raise Conflict(f'a machine runs in "{entry}"', hint="ireko serve --stop: the next daemon ends it")
    if entry not in _strays(context):
        raise Conflict(f'"{entry}" has come into use meanwhile')
    lost = context.paths.lost
    if not lost.exists():
        context.files.make_folder(lost)
    target = lost / f"{entry.parent.name}-{entry.name}"
    context.files.move(entry, target if not target.exists() else lost / f"{target.name}-{new_id()[:8]}")


def half_made(context: Context, since: float) -> Iterator[Fault]:
    """What lies among half-made things, or half-made beside a layer, since before this daemon: nobody goes on with it."""
    parts = [path for path in context.paths.layers.glob("*/.*.part") if path.parent.name in context.database.layers]
    for entry in sorted([*context.paths.tmp.iterdir(), *parts]):
        if _older(entry, since):
            yield warning(_name(context, entry), f'"{entry}" is half-made', REPAIR, partial(_remove, context, entry))


def _older(entry: Path, since: float) -> bool:
    try:
        return entry.lstat().st_ctime < since
    except FileNotFoundError:  # it goes right now
        return False


async def _remove(context: Context, entry: Path, _: Progress) -> None:
    if entry.is_dir():
        await context.discard(entry)
    else:
        context.files.remove(entry)
