"""Opening a chain of a hundred layers, every link of it proven, with the files in the page cache."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clock import milliseconds
from benchmarks.disks import SIZE, folder, places, write_chain
from benchmarks.figure import AtMost, Figure, Sides
from ireko.disk.chain import open_chain

_DEPTH = 100


@contextmanager
def _ready(suffix: str) -> Iterator[Sides]:
    with folder() as here:
        leaf = write_chain(here, suffix, _DEPTH, [[place] for place in places()[:_DEPTH]], SIZE)
        yield Sides(lambda: milliseconds(lambda: _open(leaf)))


def _open(leaf: Path) -> None:
    with open_chain(leaf) as chain:
        assert len(chain.layers) == _DEPTH


FIGURES = tuple(
    Figure(
        name=f"disk-open-{suffix}",
        about=f"opening and verifying a chain of {_DEPTH} layers in {suffix}",
        unit="ms",
        goal=AtMost(50),
        alone=functools.partial(_ready, suffix),
        guests=False,
        repetitions=21,
        warm_up=3,
    )
    for suffix in ("vhdx", "qcow2")
)
