"""What a fresh container takes on the host's disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides

_BLOCK = 512  # bytes; what st_blocks counts


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    made: list[str] = []

    def size() -> float:
        made.append(daemon.create("true"))
        return kibibytes_on_disk(daemon.folder(made[-1]))

    try:
        yield Sides(size)
    finally:
        for each in made:
            daemon.remove(each)


def kibibytes_on_disk(folder: Path) -> float:
    """What a folder and everything in it takes, holes not counted."""
    return sum(path.lstat().st_blocks for path in [folder, *folder.rglob("*")]) * _BLOCK / 1024


FIGURE = Figure(
    name="container-size",
    about="the disk space of a fresh container's folder: its disk, its keys, the folder itself",
    unit="KiB",
    goal=AtMost(256),
    ready=_ready,
    guests=False,
    repetitions=3,
    warm_up=0,
)
