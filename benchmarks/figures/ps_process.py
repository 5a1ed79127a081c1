"""Listing a hundred containers, as a person does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.clock import milliseconds
from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides
from benchmarks.figures.ps_api import CONTAINERS, hundred_containers


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    with hundred_containers(daemon):
        yield Sides(lambda: milliseconds(lambda: daemon.run("ps", "--all")))


FIGURE = Figure(
    name="ps-process",
    about=f"the process `ireko ps --all` with {CONTAINERS} containers, from its start to its exit",
    unit="ms",
    goal=AtMost(150),
    ready=_ready,
    guests=False,
    repetitions=15,
    warm_up=2,
)
