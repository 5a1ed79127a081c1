"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path


def straight(path: Path) -> Path:
    """The same place without "..": a path that leads through a folder is of no use once that is gone, and may name nothing.

    What is left out may lead over a link, as in any command. Raises OSError when it leads nowhere.
    """
    if ".." not in path.parts:
        return path
    return path.resolve() if path.name == ".." else path.parent.resolve() / path.name
