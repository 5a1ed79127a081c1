"""Disk files for tests: written by the library, in any format and on any parent."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from ireko.disk.base import Allocation, NewLayer
from ireko.disk.chain import open_chain
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.reference import reference_to

MIB = 1 << 20
SIZE = 16 * MIB


def write_disk(
    path: Path, pieces: dict[int, int], *, parent: Path | None = None, size: int = SIZE, sector_size: int = 512
) -> Path:
    """A disk with 64 KiB of random bytes at each offset (KiB), that follow from a seed; its suffix says the format."""
    if parent is None:
        new = NewLayer(size, sector_size=sector_size)
    else:
        with open_layer(parent) as below:
            reference = reference_to(below.info, path)
            new = NewLayer(
                size,
                Allocation.DIFFERENCING,
                sector_size=sector_size,
                parent=reference,
                disk_id=below.info.identity.disk,
            )
    with create_layer(path, new) as writer:
        for offset, seed in sorted(pieces.items()):
            writer.write_data(offset * 1024, random.Random(seed).randbytes(64 << 10))
        writer.finish()
    return path


def content(path: Path, *within: Path) -> bytes:
    """All that a disk shows."""
    with open_chain(path, within=within or (path.parent,)) as chain:
        return chain.view.read(0, chain.view.size)


def unpack(archive: Path, folder: Path) -> None:
    """What is in a tar archive, as the system's own tool finds it."""
    folder.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
