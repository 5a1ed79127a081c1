"""Images made from recipes."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ireko.engine import layers
from ireko.engine.context import Context, now
from ireko.errors import NotFound
from ireko.host import files
from ireko.model.image import Boot, History, Image, with_id
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
            workdir = self._context.paths.tmp / new_id()
            workdir.mkdir(mode=0o700)
            try:
                built = await self._recipes.build(
                    name, source, workdir=workdir, cache=self._context.paths.cache, progress=progress
                )
                progress("storing", None, None)
                return await self._store(name, built, reference)
            finally:
                await asyncio.to_thread(files.remove_tree, workdir)

    def _made_since(self, name: str, moment: object) -> Image | None:
        summary = next((each for each in self.summaries() if each.name == name), None)
        if summary is None:
            raise NotFound(f'there is no recipe "{name}"', hint=f"known: {', '.join(s.name for s in self.summaries())}")
        image_id = self._context.database.tags.get(summary.references[0])
        image = self._context.database.images.get(image_id or "")
        return image if image and image.created >= moment else None  # type: ignore[operator]

    async def _store(self, name: str, built: Built, reference: Reference | None) -> Image:
        context = self._context
        config = built.config
        if built.kernel is not None and built.initrd is not None:
            boot = await asyncio.to_thread(self._store_boot, built.kernel, built.initrd)
            config = replace(config, boot=Boot(boot, built.append))
        layer_id = new_id()
        place = context.paths.layer_disk(layer_id)
        place.parent.mkdir(mode=0o700)
        try:
            built.disk.rename(place)
            files.sync_folder(place.parent)
            layer = await asyncio.to_thread(layers.seal, context, layer_id, parent=None)
            step = History(layer.created, f"recipe {name}", "", layer.size)
            image = with_id(Image(id="", layers=(layer_id,), config=config, created=layer.created, history=(step,)))
            with context.database.change() as change:
                change.put_layer(layer)
                change.put_image(image)
                for each in (reference,) if reference else built.references:
                    change.tag(each, image.id)
        except BaseException:
            files.remove_tree(place.parent)
            raise
        context.events.publish("image", "create", image.id, {"name": str(reference or built.references[0])})
        return image

    def _store_boot(self, kernel: Path, initrd: Path) -> str:
        """Images of one recipe share their kernel and initrd, so they are named by what they hold."""
        digest = hashlib.sha256()
        for path in (kernel, initrd):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        boot = digest.hexdigest()
        place = self._context.paths.boot / boot
        if not place.exists():
            half = self._context.paths.tmp / new_id()
            half.mkdir(mode=0o700)
            kernel.rename(half / "kernel")
            initrd.rename(half / "initrd")
            for name in ("kernel", "initrd"):
                (half / name).chmod(0o400)
            half.rename(place)
            files.sync_folder(place.parent)
        return boot
