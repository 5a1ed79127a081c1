"""Recipes: how an image is made from packages, and what came out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ireko.model.image import ImageConfig
from ireko.model.names import Reference

Progress = Callable[[str, int | None, int | None], None]
"""Called with what is being done, how many steps of it are done, and how many there are (None: not known)."""


@dataclass(frozen=True)
class RecipeSummary:
    """A built-in recipe. The first reference is the one its image is best known by."""

    name: str
    description: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Built:
    """What a recipe made, in its work folder. `disk` is in the driver's native format; no kernel: firmware boots it."""

    disk: Path
    config: ImageConfig
    references: tuple[Reference, ...]
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
