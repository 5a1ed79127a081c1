"""The files of layers held against their records: all that needs no reading of data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from ireko.disk.base import LayerInfo
from ireko.disk.formats import open_layer
from ireko.disk.links import Folders, candidates
from ireko.disk.reference import reference_to
from ireko.engine import layers, lookup, machines
from ireko.engine.context import Context
from ireko.engine.upkeep import use
from ireko.engine.upkeep.content import Content
from ireko.engine.upkeep.exchange import exchange
from ireko.engine.upkeep.faults import REPAIR, RESTORE, Fault, error, warning
from ireko.engine.upkeep.remaking import remade
from ireko.errors import Conflict, Damaged, IrekoError
from ireko.host import files
from ireko.model.image import MIB, Layer, LinkedFile
from ireko.model.names import short
from ireko.model.recipe import Progress

_SLACK = MIB
"""So much more or less is no wrong record: file systems take room ahead, and give it back."""


def faults(context: Context, layer: Layer, name: str, *, proven: Content | None = None) -> Iterator[Fault]:
    """What is wrong with a layer's file, without reading its data. `proven`: that was done, and this is what it must hold."""
    path = context.paths.layer_disk(layer.id)
    if not path.is_file():
        yield error(name, f'its disk "{path}" is missing', _from_backup(path))
        return
    if layer.parent and layer.parent not in {*context.database.layers, *context.database.broken_keys("layers")}:
        yield error(name, f"there is no record of the layer {short(layer.parent)} that it stands on", RESTORE)
    changed = list(_changed(context, layer, name, proven=proven is not None))
    yield from changed
    yield from _mode(context, layer, name)
    yield from _linked(context, layer, name, proven)
    try:
        with open_layer(path, format_name=layer.format) as opened:
            info = opened.info
    except IrekoError as damage:
        if not changed:
            yield error(name, damage.message, _from_backup(path))
        return
    if info.size != layer.capacity:
        yield error(name, f"its disk has {info.size} bytes, {layer.capacity} are recorded", _from_backup(path))
    yield from _parent(context, layer, name, info, sealed=proven is not None or not changed)
    yield from _size(context, layer, name, sealed=not changed)


def _changed(context: Context, layer: Layer, name: str, *, proven: bool) -> Iterator[Fault]:
    try:
        machines.check_sealed(context, layer)
    except Damaged as damage:
        if proven:
            found = f"its file was touched since it was sealed, its content is what it was: {damage.message}"
            yield error(name, found, f"{REPAIR} --deep", partial(_seal_anew, context, layer.id))
        else:
            yield error(name, damage.message, _or_proof(layer, damage.hint))


def _or_proof(layer: Layer, hint: str) -> str:
    """What to do, with a way out where what the layer must hold is known."""
    return f"{hint}; {REPAIR} --deep finds out whether its content is the same" if layer.chain_id else hint


async def _seal_anew(context: Context, layer_id: str, _: Progress) -> None:
    layer, path = lookup.layer(context.database, layer_id), context.paths.layer_disk(layer_id)
    context.files.set_mode(path, layers.SEALED)
    identity = context.driver.disks.identify(path)
    with context.database.change() as change:
        change.put_layer(replace(layer, identity=identity, size=files.disk_bytes(path)))


def _mode(context: Context, layer: Layer, name: str) -> Iterator[Fault]:
    try:
        machines.check_read_only(context, layer)
    except Damaged as damage:
        yield error(name, damage.message, damage.hint, partial(_seal, context, layer.id))


async def _seal(context: Context, layer_id: str, _: Progress) -> None:
    context.files.set_mode(context.paths.layer_disk(layer_id), layers.SEALED)


def _linked(context: Context, layer: Layer, name: str, proven: Content | None) -> Iterator[Fault]:
    try:
        machines.check_linked(context, layer)
    except Damaged as damage:
        if proven:
            found = f"the disk that it is linked to was touched, its content is what it was: {damage.message}"
            yield error(name, found, f"{REPAIR} --deep", partial(_link_anew, context, layer.id, proven.linked))
        else:
            yield error(name, damage.message, _or_proof(layer, damage.hint))
    except Conflict as in_use:
        yield warning(name, in_use.message, in_use.hint)


async def _link_anew(context: Context, layer_id: str, files_read: tuple[LinkedFile, ...], _: Progress) -> None:
    with context.database.change() as change:
        change.put_layer(replace(lookup.layer(context.database, layer_id), linked=files_read))


def _size(context: Context, layer: Layer, name: str, *, sealed: bool) -> Iterator[Fault]:
    taken = files.disk_bytes(context.paths.layer_disk(layer.id))
    if sealed and abs(taken - layer.size) > _SLACK:
        found = f"it takes {taken} bytes on the disk, {layer.size} are recorded"
        yield warning(name, found, REPAIR, partial(_note_size, context, layer.id))


async def _note_size(context: Context, layer_id: str, _: Progress) -> None:
    layer = lookup.layer(context.database, layer_id)
    with context.database.change() as change:
        change.put_layer(replace(layer, size=files.disk_bytes(context.paths.layer_disk(layer_id))))


def _parent(context: Context, layer: Layer, name: str, info: LayerInfo, *, sealed: bool) -> Iterator[Fault]:
    """The parent that the file names must be the one that is recorded."""
    wanted = _parent_place(context, layer)
    if leads_to(info, wanted):
        return
    found = f"its disk names {_quoted(parent_named(info))} as its parent, which must be {_quoted(wanted)}"
    proven = sealed and not layer.linked and layer.parent in context.database.layers
    mend = partial(relink, context, layer.id) if proven else None
    yield error(name, found, REPAIR if mend else _from_backup(info.path), mend)


def _quoted(path: Path | None) -> str:
    return f'"{path}"' if path is not None else "none"


def _parent_place(context: Context, layer: Layer) -> Path | None:
    """Where the file lies that a layer's own names as its parent."""
    if layer.linked:
        return Path(layer.linked[0].path)
    return context.paths.layer_disk(layer.parent) if layer.parent else None


def parent_named(info: LayerInfo) -> Path | None:
    """The first place that a disk names for its parent; None for a base."""
    if info.parent is None:
        return None
    return next(candidates(info.path, info.parent, Folders(())), Path())


def leads_to(info: LayerInfo, wanted: Path | None) -> bool:
    """Whether the first place that a disk names for its parent is this one, however it is written; None: it has no parent."""
    named = parent_named(info)
    if named is None or wanted is None:
        return named is wanted
    return os.path.realpath(named) == os.path.realpath(wanted)


async def relink(context: Context, layer_id: str, progress: Progress) -> None:
    """Have a layer's file name its parent's place; that it is the layer's file, and that the parent is sound, is proven here.

    Raises Damaged when it isn't, Conflict when the layer is in use.
    """
    layer = lookup.layer(context.database, layer_id)
    assert layer.parent is not None
    _refuse_use(context, layer)
    machines.check_sealed(context, lookup.layer(context.database, layer.parent))
    disk, parent = context.paths.layer_disk(layer.id), context.paths.layer_disk(layer.parent)
    with open_layer(parent) as below:
        reference = reference_to(below.info, disk)
    async with (
        layers.holding(context, layer.id),
        remade(context, disk, f"relinking layer {short(layer.id)}", parent=reference, progress=progress) as new,
    ):
        _refuse_use(context, layer, mine=layer.id)
        machines.check_sealed(context, layer)
        exchange(context, layer, new)


def _refuse_use(context: Context, layer: Layer, *, mine: str = "") -> None:
    if why := use.users(context, mine=mine).get(layer.id):
        raise Conflict(why)


def _from_backup(path: Path) -> str:
    return f'put "{path}" back from a backup, or make the image anew and recreate the container'
