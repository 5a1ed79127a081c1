"""The built-in recipes, and those that people write, as the engine asks for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ireko.model.recipe import Built, Progress, RecipeSummary
from ireko.recipes.build import build
from ireko.recipes.packages import Archive
from ireko.recipes.recipe import built_in_names, load_recipe, parse


class Book:
    """See `ireko.engine.make.RecipeBook`."""

    def __init__(self) -> None:
        self._refreshing = asyncio.Lock()

    def summaries(self) -> list[RecipeSummary]:
        """The built-in recipes."""
        recipes = {name: load_recipe(name) for name in built_in_names()}
        return [RecipeSummary(name, recipe.description, recipe.references) for name, recipe in recipes.items()]

    async def build(self, name: str, source: str | None, *, workdir: Path, cache: Path, progress: Progress) -> Built:
        """Follow a recipe. What can be used again is kept in `cache`.

        Raises NotFound, InvalidInput, ProgramMissing, ProgramFailed, NoSpace.
        """
        recipe = load_recipe(name) if source is None else parse(source, name=name)
        archive = Archive(recipe.suite, cache)
        progress("fetching the lists of packages", None, None)
        async with self._refreshing:  # apt fails where another one writes its lists
            await archive.refresh()
        return await build(recipe, archive=archive, workdir=workdir, cache=cache, progress=progress)
