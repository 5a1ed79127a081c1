"""Recipes: images made from Debian's packages, without root and without an image from the internet."""

from ireko.recipes.build import build
from ireko.recipes.recipe import Recipe, load_recipe

__all__ = ["Recipe", "build", "load_recipe"]
