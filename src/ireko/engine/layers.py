"""Layers: sealed, counted, and thrown away when nothing stands on them."""

from __future__ import annotations

from pathlib import Path

from ireko.engine import machines
from ireko.engine.context import Context, now
from ireko.host import files
from ireko.model.image import Layer

SEALED = 0o400


def seal(context: Context, layer_id: str, path: Path, *, parent: str | None) -> Layer:
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
    )


def used(context: Context) -> set[str]:
    """The layers that an image or a container stands on."""
    found: set[str] = set()
    for image in context.database.images.values():
        found.update(image.layers)
    for container in context.database.containers.values():
        if container.parent not in found:
            found.update(layer.id for layer in machines.chain(context, container.parent))
    return found


async def collect(context: Context) -> int:
    """Throw away the layers that nothing stands on any more; the bytes that came free.

    Where a record can't be read, nobody can tell what stands on what, and everything is kept.
    """
    database = context.database
    if any(database.broken_keys(table) for table in ("layers", "images", "containers")):
        return 0
    kept = used(context)
    unused = [layer for layer in database.layers.values() if layer.id not in kept]
    if not unused:
        return 0
    with database.change() as change:
        for layer in unused:
            change.delete_layer(layer.id)
    await context.discard(*(context.paths.layer(layer.id) for layer in unused), *unused_boots(context))
    return sum(layer.size for layer in unused)


def unused_boots(context: Context) -> list[Path]:
    """The folders of kernels that no image boots with."""
    wanted = {image.config.boot.id for image in context.database.images.values() if image.config.boot}
    return [entry for entry in context.paths.boot.iterdir() if entry.name not in wanted]


def chain_size(context: Context, layer_id: str) -> int:
    """The bytes that a layer and its ancestors take."""
    return sum(layer.size for layer in machines.chain(context, layer_id))
