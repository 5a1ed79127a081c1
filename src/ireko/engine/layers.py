"""Layers: sealed, counted, and thrown away when nothing stands on them."""

from __future__ import annotations

from pathlib import Path

from ireko.engine import machines
from ireko.engine.context import Context, now
from ireko.host import files
from ireko.model.image import Layer

_SEALED = 0o400


def seal(context: Context, layer_id: str, *, parent: str | None) -> Layer:
    """Make a layer's file read-only and say what it is. The file is in its place already."""
    path = context.paths.layer_disk(layer_id)
    path.chmod(_SEALED)
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


def collect(context: Context) -> int:
    """Throw away the layers that nothing stands on any more; the bytes that came free."""
    unused = [layer for layer in context.database.layers.values() if layer.id not in used(context)]
    if not unused:
        return 0
    with context.database.change() as change:
        for layer in unused:
            change.delete_layer(layer.id)
    for layer in unused:
        files.remove_tree(context.paths.layer_disk(layer.id).parent)
    _collect_boot(context)
    return sum(layer.size for layer in unused)


def chain_size(context: Context, layer_id: str) -> int:
    """The bytes that a layer and its ancestors take."""
    return sum(layer.size for layer in machines.chain(context, layer_id))


def _collect_boot(context: Context) -> None:
    wanted = {image.config.boot.id for image in context.database.images.values() if image.config.boot}
    for folder in _folders(context.paths.boot):
        if folder.name not in wanted:
            files.remove_tree(folder)


def _folders(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()]
