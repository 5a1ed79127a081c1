"""Images made from recipes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ireko.engine import storing
from ireko.engine.context import Context, now, to_its_end
from ireko.errors import NotFound
from ireko.model.image import SECTOR, Boot, History, Image, Layer, with_id
from ireko.model.names import Reference, new_id
from ireko.model.recipe import Built, Progress, RecipeSummary


class RecipeBook(Protocol):
    """Where recipes come from, and how they are followed."""

    def summaries(self) -> list[RecipeSummary]:
        """The built-in recipes."""

    async def build(self, name: str, source: str | None, *, workdir: Path, cache: Path, progress: Progress) -> Built:
        """Follow a built-in recipe, or with `source` the one this TOML text writes down.

        Raises NotFound, InvalidInput, ProgramMissing, ProgramFailed, NoSpace.
        """


class Maker:
    """Makes images."""

    def __init__(self, context: Context, recipes: RecipeBook) -> None:
        self._context = context
        self._recipes = recipes

    def summaries(self) -> list[RecipeSummary]:
        """The built-in recipes."""
        return self._recipes.summaries()

    async def make(self, name: str, *, source: str | None, reference: Reference | None, progress: Progress) -> Image:
        """An image from a recipe, named as the recipe says or as asked for.

        Who asks for a built-in recipe while it is being followed gets the same image.
        """
        asked = now()
        async with self._context.locks(f"recipe {name if source is None else new_id()}"):
            if source is None and (made := self._made_since(name, asked)) is not None:
                if reference:
                    with self._context.database.change() as change:
                        change.tag(reference, made.id)
                return made
            async with self._context.work_folder() as workdir:
                built = await self._recipes.build(
                    name, source, workdir=workdir, cache=self._context.paths.cache, progress=progress
                )
                progress("storing", None, None)
                return await self._store(name, built, reference)

    def _made_since(self, name: str, moment: object) -> Image | None:
        summary = next((each for each in self.summaries() if each.name == name), None)
        if summary is None:
            raise NotFound(f'there is no recipe "{name}"', hint=f"known: {', '.join(s.name for s in self.summaries())}")
        image_id = self._context.database.tags.get(summary.references[0])
        image = self._context.database.images.get(image_id or "")
        return image if image and image.created >= moment else None  # type: ignore[operator]

    async def _store(self, name: str, built: Built, reference: Reference | None) -> Image:
        layer_id = new_id()
        half = self._context.paths.tmp / layer_id
        try:
            layer, boot = await to_its_end(asyncio.to_thread(self._prepare, built, half))
            config = built.config if boot is None else replace(built.config, boot=Boot(boot.name, built.append))
            step = History(layer.created, f"recipe {name}", "", layer.size)
            image = with_id(Image(id="", layers=(layer_id,), config=config, created=layer.created, history=(step,)))
            references = (reference,) if reference else built.references
            storing.record(self._context, [(layer, half)], image, references, boot=boot)
        except BaseException:
            self._context.files.remove_tree(half)
            raise
        return image

    def _prepare(self, built: Built, half: Path) -> tuple[Layer, Path | None]:
        """What takes its time: the layer in its folder, sealed, and the folder of the kernel under the name it will have."""
        files, paths = self._context.files, self._context.paths
        files.make_folder(half)
        files.move(built.disk, half / paths.layer_disk(half.name).name)
        layer = storing.seal_layer(self._context, half, parent=None, sector_size=SECTOR)
        if built.kernel is None or built.initrd is None:
            return layer, None
        return layer, storing.prepare_boot(self._context, built.kernel, built.initrd)
