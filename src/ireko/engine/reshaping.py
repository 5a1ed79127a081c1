"""Images that show the same on other layers: flattened to one, or put on top of another image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Progress as Steps
from ireko.disk.operations.flatten import flatten
from ireko.disk.operations.merge import write_on_top
from ireko.engine import chains, diskwork, layers, lookup, machines, storing
from ireko.engine.context import Context, now
from ireko.errors import Conflict, InvalidInput
from ireko.model.image import History, Image, Layer, with_id
from ireko.model.names import Reference, new_id, short
from ireko.model.recipe import Progress

_Write = Callable[[Path, Path, Steps], None]
"""Writes a new layer to a path; the second one is where it will lie in the end."""


class Reshaper:
    """Makes images of images. The old one stays for the containers that were made from it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def flatten(self, ref: str, *, reference: Reference | None, progress: Progress) -> Image:
        """The image in one layer. It gets `reference`, or the name that it was called by.

        Raises NotFound, Conflict when it has one layer already, Damaged, NoSpace.
        """
        image = lookup.image(self._context.database, ref)
        top, form = lookup.layer(self._context.database, image.top), self._context.driver.abilities.disk_format
        if len(image.layers) == 1 and not top.linked:
            raise Conflict(f'the image "{ref}" has one layer already')
        machines.check_chain(self._context, top.id)
        source, within = self._context.paths.layer_disk(top.id), chains.folders(self._context, top.id)

        def write(target: Path, _place: Path, steps: Steps) -> None:
            flatten(source, target, within=within, target_format=form, sector_size=top.sector_size, progress=steps)

        kept = layers.holding(self._context, top.id, boot=image.config.boot)
        async with kept, self._context.work_folder() as folder:
            layer, half = await self._layer(f"flattening {ref}", folder, write, top, parent=None, progress=progress)
            machines.check_chain(self._context, top.id)  # somebody may have written to a disk that it is linked to
            history = (History(layer.created, f"flatten {short(image.id)}", "", layer.size),)
            fresh = replace(image, layers=(layer.id,), history=history)
            return self._record(fresh, layer, half, self._names(image, ref, reference))

    async def rebase(self, ref: str, onto: str, *, reference: Reference | None, progress: Progress) -> Image:
        """The image as one layer on top of another image: what is the same in both is stored once.

        Raises NotFound, Conflict when it stands there already, InvalidInput for disks that don't fit, Damaged, NoSpace.
        """
        context = self._context
        image, base = lookup.image(context.database, ref), lookup.image(context.database, onto)
        if base.layers == image.layers[: len(base.layers)]:
            raise Conflict(f'the image "{ref}" stands on "{onto}" already')
        self._check_sizes(image, base, ref, onto)
        for top in (image.top, base.top):
            machines.check_chain(context, top)
        source, parent = context.paths.layer_disk(image.top), context.paths.layer_disk(base.top)
        within = [*chains.folders(context, image.top), *chains.folders(context, base.top)]
        form = context.driver.abilities.disk_format

        def write(target: Path, place: Path, steps: Steps) -> None:
            write_on_top(source, target, parent=parent, within=within, placed=place, target_format=form, progress=steps)

        kept = layers.holding(context, image.top, base.top, boot=image.config.boot)
        async with kept, context.work_folder() as folder:
            own = lookup.layer(context.database, image.top)
            layer, half = await self._layer(f"rebasing {ref}", folder, write, own, parent=base.top, progress=progress)
            for top in (image.top, base.top):
                machines.check_chain(context, top)  # as above
            step = History(layer.created, f"rebase {short(image.id)}", "", layer.size)
            fresh = replace(image, layers=(*base.layers, layer.id), history=(*base.history, step))
            return self._record(fresh, layer, half, self._names(image, ref, reference))

    async def _layer(
        self, step: str, folder: Path, write: _Write, like: Layer, *, parent: str | None, progress: Progress
    ) -> tuple[Layer, Path]:
        """The new layer, sealed, with the sectors of another, and the folder of its own that it has in a work folder."""
        context, layer_id = self._context, new_id()
        half, place = folder / layer_id, context.paths.layer_disk(layer_id)

        def job(steps: Steps) -> Layer:
            write(half / place.name, place, steps)
            return storing.seal_layer(context, half, parent=parent, sector_size=like.sector_size)

        context.files.make_folder(half)
        return await diskwork.do(step, job, progress=progress), half

    def _record(self, image: Image, layer: Layer, half: Path, names: tuple[Reference, ...]) -> Image:
        fresh = with_id(replace(image, id="", created=now(), parent=None))
        storing.record(self._context, [(layer, half)], fresh, names)
        return fresh

    def _check_sizes(self, image: Image, base: Image, ref: str, onto: str) -> None:
        own, below = (lookup.layer(self._context.database, each.top) for each in (image, base))
        if below.capacity > own.capacity:
            raise InvalidInput(
                f'the disk of "{ref}" has {own.capacity} bytes, that of "{onto}" {below.capacity}: '
                "an image can't stand on a larger one"
            )
        if below.sector_size != own.sector_size:
            raise InvalidInput(
                f'the disk of "{ref}" has sectors of {own.sector_size} bytes, that of "{onto}" of {below.sector_size}: '
                "an image can't stand on one with others"
            )

    def _names(self, image: Image, ref: str, reference: Reference | None) -> tuple[Reference, ...]:
        if reference:
            return (reference,)
        if lookup.names_an_id(self._context.database, ref, image.id):
            return ()
        return (Reference.parse(ref),)
