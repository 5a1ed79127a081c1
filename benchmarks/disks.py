"""Disks to measure with: the same data, at the same places, in every format."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ireko.disk.base import Allocation, NewLayer
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.reference import reference_to

PIECE = 64 << 10
SIZE = 4 << 30
DATA = 1 << 30
FORMATS = ("raw", "qcow2", "vhdx")
_SHARED_MEMORY = Path("/dev/shm")
_ROOM = 8 * DATA
"""A source, a target of ours and one of the peer's, a chain; and as much again for everybody else."""


def places(size: int = SIZE) -> list[int]:
    """Where the pieces lie: one in each part of the disk, anywhere in it, but always at the same place."""
    chance, pieces = random.Random(1), DATA // PIECE
    slots = size // PIECE // pieces
    return [(number * slots + chance.randrange(slots)) * PIECE for number in range(pieces)]


def write_disk(path: Path, new: NewLayer, where: list[int]) -> None:
    """Make a disk with a piece of random bytes at each of some places."""
    chance = random.Random(where[0])
    with create_layer(path, new) as writer:
        for place in where:
            writer.write_data(place, chance.randbytes(PIECE))
        writer.finish()


def write_chain(folder: Path, suffix: str, depth: int, pieces: list[list[int]], size: int = SIZE) -> Path:
    """Make layers on top of each other, each with its own pieces; the newest one."""
    path = folder / f"0.{suffix}"
    write_disk(path, NewLayer(size), pieces[0])
    for number in range(1, depth):
        child = folder / f"{number}.{suffix}"
        write_disk(child, child_of(path, child), pieces[number])
        path = child
    return path


def child_of(parent: Path, child: Path) -> NewLayer:
    """What a child of a layer is to be."""
    with open_layer(parent) as layer:
        info = layer.info
        reference = reference_to(info, child)
        return NewLayer(info.size, Allocation.DIFFERENCING, parent=reference, disk_id=info.identity.disk)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for disks: in memory, where there is room, so that what is measured is the work and not the host's disk.

    $TMPDIR says otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="ireko-disks-", dir=_memory()) as made:
        yield Path(made)


def _memory() -> Path | None:
    roomy = "TMPDIR" not in os.environ and _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM
    return _SHARED_MEMORY if roomy else None


def file_system(path: Path) -> str:
    """The kind of file system that a path is on."""
    found = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()
