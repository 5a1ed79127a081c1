"""New images get their place: files first, then the records, or nothing at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ireko.disk.base import Allocation, LayerWriter, NewLayer
from ireko.disk.formats import create_layer, described
from ireko.disk.reference import reference_to
from ireko.engine import layers
from ireko.engine.context import Context
from ireko.model.image import Image, Layer
from ireko.model.names import Reference


def prepare_boot(context: Context, kernel: Path, initrd: Path) -> Path:
    """A folder beside the kernel, with both files and under the name that it will have; they are moved there.

    Images of one recipe share their kernel and initrd, so they are named by what they hold.
    """
    folder = kernel.parent / boot_id(kernel, initrd)
    context.files.make_folder(folder)
    for path, name in ((kernel, "kernel"), (initrd, "initrd")):
        context.files.move(path, folder / name)
        context.files.set_mode(folder / name, layers.SEALED)
    context.files.sync_tree(folder)
    return folder


def new_layer(
    context: Context, layer_id: str, size: int, *, sector_size: int, parent: Layer | None, folder: Path | None
) -> NewLayer:
    """What a new layer is to be whose file will lie where the layers do; `folder` is where its parent's lies now."""
    if parent is None or folder is None:
        return NewLayer(size, sector_size=sector_size)
    place = context.paths.layer_disk(parent.id)
    below = described(folder / place.name, parent.format)
    reference = reference_to(below, context.paths.layer_disk(layer_id), parent_path=place)
    return NewLayer(
        size,
        Allocation.DIFFERENCING,
        sector_size=below.sector_size,
        parent=reference,
        disk_id=below.identity.disk,
    )


def write_layer(
    context: Context,
    folder: Path,
    new: NewLayer,
    fill: Callable[[LayerWriter], object],
    *,
    parent: str | None,
    sector_size: int,
) -> Layer:
    """Write a layer in a fresh folder, whose name is its id, and seal it; `sector_size` is what a guest sees. Blocks."""
    context.files.make_folder(folder)
    path = folder / context.paths.layer_disk(folder.name).name
    with create_layer(path, new, format_name=context.driver.abilities.disk_format) as writer:
        fill(writer)
        writer.finish()
    return seal_layer(context, folder, parent=parent, sector_size=sector_size)


def seal_layer(context: Context, folder: Path, *, parent: str | None, sector_size: int) -> Layer:
    """Seal the layer in a folder whose name is its id, and have all of it on the disk. Blocks."""
    path = folder / context.paths.layer_disk(folder.name).name
    layer = layers.seal(context, folder.name, path, parent=parent, sector_size=sector_size)
    context.files.sync_tree(folder)
    return layer


def record(
    context: Context,
    fresh: Sequence[tuple[Layer, Path]],
    image: Image,
    references: Sequence[Reference],
    *,
    boot: Path | None = None,
) -> None:
    """Put everything in its place: new layers, each with its folder, the lowest first; a folder of `prepare_boot`; the image.

    Nothing is awaited, so that nobody finds the files before an image needs them. The folders have been synced. When it fails
    they are gone, and nothing was recorded.
    """
    files, paths = context.files, context.paths
    places = [(folder, paths.layer(layer.id)) for layer, folder in fresh]
    if boot is not None and not (paths.boot / boot.name).exists():
        places.append((boot, paths.boot / boot.name))
    try:
        for folder, place in places:
            files.move(folder, place)
        with context.database.change() as change:
            for layer, _ in fresh:
                change.put_layer(layer)
            change.put_image(image)
            for each in references:
                change.tag(each, image.id)
    except BaseException:
        for _, place in places:
            files.remove_tree(place)
        raise
    name = str(references[0]) if references else image.id
    context.events.publish("image", "create", image.id, {"name": name})


def boot_id(kernel: Path, initrd: Path) -> str:
    """What they hold, as one text: all of both is read."""
    digest = hashlib.sha256()
    for path in (kernel, initrd):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
