"""What goes into an archive: images, their layers, each once and after its parent, and what they boot with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ireko.disk.base import Progress as Steps
from ireko.disk.delta import chain_id, diff_id
from ireko.engine import chains, diskwork, lookup, machines
from ireko.engine.context import Context
from ireko.errors import InvalidInput
from ireko.model.image import Boot, Image, Layer
from ireko.model.names import Reference, short
from ireko.model.recipe import Progress


@dataclass(frozen=True)
class Named:
    """An image, and the names that it is to have elsewhere."""

    image: Image
    names: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """Everything that an archive holds."""

    images: tuple[Named, ...]
    layers: tuple[Layer, ...]
    boots: tuple[Boot, ...]


def gather(context: Context, refs: Sequence[str]) -> Contents:
    """What the images that are meant consist of; those asked for by name keep that name. No data is read.

    Raises NotFound, Ambiguous, Damaged.
    """
    if not refs:
        raise InvalidInput("no image was named")
    images: dict[str, Named] = {}
    for ref in refs:
        image = lookup.image(context.database, ref)
        machines.check_chain(context, image.top)
        machines.check_boot(context, image)
        names = images[image.id].names if image.id in images else ()
        if not lookup.names_an_id(context.database, ref, image.id):
            names = tuple(dict.fromkeys([*names, str(Reference.parse(ref))]))
        images[image.id] = Named(image, names)
    found = tuple(images.values())
    layers = dict.fromkeys(layer for each in found for layer in each.image.layers)
    boots = {each.image.config.boot.id: each.image.config.boot for each in found if each.image.config.boot}
    return Contents(found, tuple(lookup.layer(context.database, layer) for layer in layers), tuple(boots.values()))


async def identified(context: Context, layers: Iterable[Layer], progress: Progress) -> tuple[Layer, ...]:
    """The layers with their ids of content; those that nobody has computed yet are, once for all, and are noted."""
    found: dict[str, Layer] = {}
    for layer in layers:
        fresh = layer
        if not (layer.diff_id and layer.chain_id):
            below = found[layer.parent].chain_id if layer.parent else ""
            fresh = await _identify(context, layer, below, progress)
        found[layer.id] = fresh
    return tuple(found.values())


async def _identify(context: Context, layer: Layer, below: str, progress: Progress) -> Layer:
    def read(steps: Steps) -> str:
        with chains.source_of(context, layer) as source:
            return diff_id(source, steps)

    own = await diskwork.do(f"reading layer {short(layer.id)}", read, progress=progress)
    machines.check_linked(context, layer)  # what was read while somebody wrote to it is noted for nobody
    with context.database.change() as change:
        noted = replace(context.database.layers[layer.id], diff_id=own, chain_id=chain_id(below, own))
        change.put_layer(noted)
    return noted
