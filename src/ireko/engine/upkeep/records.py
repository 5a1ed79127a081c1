"""The database held against itself, and against the files that images boot with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ireko.engine import machines
from ireko.engine.context import Context
from ireko.engine.upkeep.faults import REPAIR, RESTORE, Fault, error, warning
from ireko.errors import Damaged
from ireko.model.container import Container, MountKind
from ireko.model.image import Image
from ireko.model.names import Reference, short
from ireko.model.recipe import Progress


def broken(context: Context) -> Iterator[Fault]:
    """Records that can't be read. What they stand for is left alone."""
    for each in context.database.broken:
        yield error(
            f"record {short(each.key)}", f"the record {each.key} of {each.table} can't be read: {each.reason}", RESTORE
        )


def tags(context: Context) -> Iterator[Fault]:
    """Names that stand for no image."""
    database = context.database
    kept = {*database.images, *database.broken_keys("images")}
    for reference, image_id in sorted(database.tags.items(), key=lambda tag: str(tag[0])):
        if image_id not in kept:
            found = f"it names the image {short(image_id)}, which there is no record of"
            yield warning(f"name {reference}", found, REPAIR, partial(_untag, context, reference))


async def _untag(context: Context, reference: Reference, _: Progress) -> None:
    with context.database.change() as change:
        change.untag(reference)


def of_image(context: Context, image: Image) -> Iterator[Fault]:
    """Whether everything that an image consists of is there. Its layers' files are looked at by themselves."""
    name, database = image_name(context, image), context.database
    missing = [each for each in image.layers if each not in database.layers]
    for layer_id in missing:
        if layer_id not in database.broken_keys("layers"):
            yield error(name, f"there is no record of its layer {short(layer_id)}", RESTORE)
    if not missing and (found := _chain(context, image)) != list(image.layers):
        names = ", ".join(map(short, found))
        yield error(name, f"its layers don't stand on one another as it says: its top one stands on {names}", RESTORE)
    try:
        machines.check_boot(context, image)
    except Damaged as damage:
        yield error(name, damage.message, damage.hint)


def _chain(context: Context, image: Image) -> list[str]:
    """The ids of what its top layer stands on, the lowest first."""
    try:
        return [each.id for each in machines.chain(context, image.top)][::-1]
    except Damaged:
        return []


def of_container(context: Context, container: Container) -> Iterator[Fault]:
    """Whether there are records of everything that a container needs."""
    name, database = f"container {container.name}", context.database
    if container.image not in {*database.images, *database.broken_keys("images")}:
        yield error(name, f"there is no record of its image {short(container.image)}", RESTORE)
    if container.parent not in {*database.layers, *database.broken_keys("layers")}:
        yield error(name, f"there is no record of the layer {short(container.parent)} that it stands on", RESTORE)
    known = {*database.volumes, *database.broken_keys("volumes")}
    for mount in container.spec.mounts:
        if mount.kind is MountKind.VOLUME and mount.source not in known:
            yield error(name, f'there is no record of the volume "{mount.source}" that it mounts', RESTORE)


def image_name(context: Context, image: Image) -> str:
    """An image as people know it."""
    names = sorted(str(reference) for reference, image_id in context.database.tags.items() if image_id == image.id)
    return f"image {names[0] if names else short(image.id)}"
