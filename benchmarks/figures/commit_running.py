"""Commit of a container that runs: how long its guest stands still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides, median
from benchmarks.heartbeat import PROGRAM, Heartbeat


class _Commits:
    """Commits of one container, the gaps in its heartbeat during them, and as a peer the gaps while nothing is done."""

    def __init__(self, daemon: Daemon, container: str, heartbeat: Heartbeat) -> None:
        self._daemon = daemon
        self._container = container
        self._heartbeat = heartbeat
        self.images: list[str] = []
        self.took = [0.1]  # seconds; the first quiet time is of this length, the others of that of the commit before
        self.quiet: list[float] = []

    def commit(self) -> float:
        """The largest gap during a commit."""
        began = time.perf_counter()
        self.images.append(self._daemon.client.containers.commit(self._container)["Id"])
        ended = time.perf_counter()
        self.took.append(ended - began)
        return self._heartbeat.largest_gap(began, ended)

    def rest(self) -> float:
        """The largest gap in as long a time without a commit."""
        began = time.perf_counter()
        time.sleep(self.took[-1])
        self.quiet.append(self._heartbeat.largest_gap(began, time.perf_counter()))
        return self.quiet[-1]

    def note(self) -> str:
        """What the figure is to be seen beside."""
        return f"the commit itself {median(self.took[1:]) * 1000:.0f} ms; the largest gap without one {median(self.quiet):.1f} ms"


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    container = daemon.start(*PROGRAM)
    images: list[str] = []
    try:
        daemon.execute(container, "true")  # it is up, and the guest channel is open
        with Heartbeat(daemon.folder(container) / "stdout.log") as heartbeat:
            commits = _Commits(daemon, container, heartbeat)
            images = commits.images
            yield Sides(commits.commit, commits.rest, lambda: [commits.note()])
    finally:
        daemon.remove(container)
        for image in reversed(images):
            daemon.client.images.remove(image)


FIGURE = Figure(
    name="commit-running",
    about="how long a guest stands still while its running container is committed",
    unit="ms",
    goal=AtMost(100),
    ready=_ready,
    guests=True,
    repetitions=7,
)
