"""Disks that others made, as they are kept: packed."""

from __future__ import annotations

import bz2
import lzma
import shutil
from pathlib import Path

_UNPACK = {".xz": lzma.open, ".bz2": bz2.open}


def unpack(packed: Path, folder: Path) -> None:
    """Unpack all in or below one folder into another."""
    for path in packed.rglob("*.*"):
        if opened := _UNPACK.get(path.suffix):
            with opened(path, "rb") as source, (folder / path.stem).open("wb") as target:
                shutil.copyfileobj(source, target)
