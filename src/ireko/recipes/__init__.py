"""Recipes: images made from Debian's packages, without root and without an image from the internet."""

from ireko.recipes.book import Book

__all__ = ["Book"]
