"""Layers: sealed, counted, and thrown away when nothing stands on them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from ireko.engine import machines
from ireko.engine.context import Context, now
from ireko.errors import IrekoError
from ireko.host import files
from ireko.model.image import Boot, Layer
from ireko.store.database import Change

SEALED = 0o400


def seal(context: Context, layer_id: str, path: Path, *, parent: str | None, sector_size: int) -> Layer:
    """Make a layer's file read-only and say what it is."""
    context.files.set_mode(path, SEALED)
    return Layer(
        id=layer_id,
        parent=parent,
        format=context.driver.abilities.disk_format,
        capacity=context.driver.disks.capacity(path),
        size=files.disk_bytes(path),
        identity=context.driver.disks.identify(path),
        created=now(),
        sector_size=sector_size,
    )


def unused(context: Context, *, without: str = "") -> list[Layer]:
    """The layers that no image and no container stands on, `without` (the id of one of these) left out.

    Where a record can't be read, nobody can tell what stands on what: then there are none.
    """
    database = context.database
    if any(database.broken_keys(table) for table in ("layers", "images", "containers")):
        return []
    used: set[str] = set()
    for image in database.images.values():
        if image.id != without:
            used.update(image.layers)
    for container in database.containers.values():
        if container.id != without and container.parent not in used:
            used.update(layer.id for layer in machines.chain(context, container.parent))
    for held in context.held:
        used.update(layer.id for layer in machines.chain(context, held))
    return [layer for layer in database.layers.values() if layer.id not in used]


@contextlib.asynccontextmanager
async def holding(context: Context, *layer_ids: str, boot: Boot | None = None) -> AsyncIterator[None]:
    """Keep layers and all below them, and a kernel, while they are worked on; what nobody needs any more afterwards goes then."""
    boots = (boot.id,) if boot is not None else ()
    context.held.update(layer_ids)
    context.held_boots.update(boots)
    try:
        yield
    finally:
        _let_go(context.held, layer_ids)
        _let_go(context.held_boots, boots)
        with contextlib.suppress(IrekoError):  # the next daemon tries again
            await collect(context)
            await context.discard(*(each for each in unused_boots(context) if each.name in boots))


def _let_go(held: Counter[str], ids: Iterable[str]) -> None:
    held.subtract(ids)
    for each in [held_id for held_id, users in held.items() if users <= 0]:
        del held[each]


def forget(change: Change, gone: Iterable[Layer]) -> None:
    """Delete the records; the files follow with `folders`."""
    for layer in gone:
        change.delete_layer(layer.id)


def folders(context: Context, gone: Iterable[Layer]) -> list[Path]:
    """The folders of layers that have no record any more, and of kernels that no image boots with."""
    found = [context.paths.layer(layer.id) for layer in gone]
    return found + (unused_boots(context) if found else [])


async def collect(context: Context) -> int:
    """Throw away what nothing stands on any more; the bytes that came free."""
    gone = unused(context)
    if gone:
        with context.database.change() as change:
            forget(change, gone)
        await context.discard(*folders(context, gone))
    return sum(layer.size for layer in gone)


def unused_boots(context: Context) -> list[Path]:
    """The folders of kernels that no image boots with, or will; none where a record of an image can't be read."""
    if context.database.broken_keys("images"):
        return []
    wanted = {image.config.boot.id for image in context.database.images.values() if image.config.boot}
    wanted.update(context.held_boots)
    return [entry for entry in context.paths.boot.iterdir() if entry.name not in wanted]


def chain_size(context: Context, layer_id: str) -> int:
    """The bytes that a layer and its ancestors take, as far as their records can be read."""
    total, layer = 0, context.database.layers.get(layer_id)
    while layer is not None:
        total, layer = total + layer.size, context.database.layers.get(layer.parent or "")
    return total
