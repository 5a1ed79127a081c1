"""Listing what a dynamic VHDX of 64 TiB holds, in a process of its own: the time of the listing, and the most memory it had."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.disks import DATA, folder, places, write_disk
from benchmarks.figure import AtMost, Figure, Sides
from ireko.disk.base import NewLayer

_SIZE = 64 << 40
_LISTER = """
import resource, sys, time
from pathlib import Path
from ireko.disk.formats import open_layer
began = time.perf_counter()
with open_layer(Path(sys.argv[1])) as layer:
    count = sum(1 for _ in layer.extents())
took = (time.perf_counter() - began) * 1000
print(count, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@contextmanager
def _ready(field: int) -> Iterator[Sides]:
    with folder() as here:
        path = here / "disk.vhdx"
        write_disk(path, NewLayer(_SIZE), places(_SIZE))
        counts: list[int] = []

        def ours() -> float:
            count, *values = _list(path)
            counts.append(int(count))
            return values[field]

        yield Sides(ours, notes=lambda: [f"{counts[-1]} extents"])


def _list(path: Path) -> list[float]:
    """How many extents there are, the milliseconds that listing them took, and the MiB that the process had."""
    done = subprocess.run([sys.executable, "-c", _LISTER, path], check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in done.stdout.split()]


_FIGURE = functools.partial(Figure, guests=False, repetitions=5)
_ABOUT = f"listing the extents of a dynamic VHDX of 64 TiB with {DATA >> 30} GiB of data"

FIGURES = (
    _FIGURE(name="disk-extents", about=_ABOUT, unit="ms", goal=AtMost(1000), alone=functools.partial(_ready, 0)),
    _FIGURE(
        name="disk-memory",
        about=f"{_ABOUT}: the most memory that the process had",
        unit="MiB",
        goal=AtMost(256),
        alone=functools.partial(_ready, 1),
    ),
)
