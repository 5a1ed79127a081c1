"""Making a container without starting it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.clock import milliseconds
from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    made: list[str] = []

    def create() -> float:
        return milliseconds(lambda: made.append(daemon.create("true")))

    try:
        yield Sides(create)
    finally:
        for each in made:
            daemon.remove(each)


FIGURE = Figure(
    name="create",
    about="POST /containers/create over the API's socket, connecting included",
    unit="ms",
    goal=AtMost(15),
    ready=_ready,
    guests=False,
    repetitions=31,
    warm_up=3,
)
