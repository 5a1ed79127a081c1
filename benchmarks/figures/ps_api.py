"""Listing a hundred containers, as the API does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.clock import milliseconds
from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides

CONTAINERS = 100


@contextmanager
def hundred_containers(daemon: Daemon) -> Iterator[None]:
    """A daemon that has a hundred containers."""
    made: list[str] = []
    try:
        for n in range(CONTAINERS):
            made.append(daemon.create("true", name=f"listed-{n}"))  # noqa: PERF401 - kept one by one
        yield
    finally:
        for each in made:
            daemon.remove(each)


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    def listing() -> float:
        return milliseconds(lambda: daemon.client.containers.all(stopped=True))

    with hundred_containers(daemon):
        found = len(daemon.client.containers.all(stopped=True))
        assert found >= CONTAINERS, f"{found} containers are listed"
        yield Sides(listing)


FIGURE = Figure(
    name="ps-api",
    about=f"GET /containers/json?all=1 with {CONTAINERS} containers, until the answer is a list in the client",
    unit="ms",
    goal=AtMost(5),
    ready=_ready,
    guests=False,
    repetitions=51,
    warm_up=5,
)
