"""Many clients at once, and what is left when they have gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides
from benchmarks.leaks import Held, settled
from ireko.errors import IrekoError

_CLIENTS = 16
_PORTS = {"80/tcp": [{"HostIp": "127.0.0.1"}]}


class _Crowd:
    """Lives of containers, so many at once."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.notes: list[str] = []

    def left(self) -> float:
        """How much is left after a life for each client: what is held beyond the time before, and every client that failed."""
        before, began = Held.by(self._daemon), time.monotonic()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            failures = [said for said in pool.map(self._attempt, range(_CLIENTS)) if said]
        took = time.monotonic() - began
        after = settled(self._daemon, before)
        self.notes += [f"{_CLIENTS} lives in {took:.1f} s; {after.compared_with(before)}"]
        self.notes += [f"a client failed: {said}" for said in failures]
        return after.beyond(before) + len(failures)

    def life(self, name: str) -> None:
        """create, start, exec, commit, stop, rm, and rmi of what was committed. Raises IrekoError."""
        containers = self._daemon.client.containers
        host = {"PortBindings": _PORTS, "Binds": [f"{Path(__file__).parent}:/srv:ro"]}
        made = self._daemon.create("sleep", "100000", name=name, HostConfig=host)
        try:
            containers.start(made)
            said = self._daemon.execute(made, "echo", name)
            assert said == f"{name}\n".encode(), said
            image = containers.commit(made, repository=name)["Id"]
            containers.stop(made, timeout=60)
        finally:
            containers.remove(made, force=True)
        self._daemon.client.images.remove(image)

    def _attempt(self, number: int) -> str:
        try:
            self.life(f"client-{number}")
        except (IrekoError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"
        return ""


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    crowd = _Crowd(daemon)
    crowd.life("first-client")  # what is opened once and kept is no leak
    yield Sides(crowd.left, notes=lambda: crowd.notes)


FIGURE = Figure(
    name="clients",
    about=f"what {_CLIENTS} clients at once leave after create, start, exec, commit, stop, rm, with a port and a folder each",
    unit="left",
    goal=AtMost(0),
    ready=_ready,
    guests=False,
    repetitions=1,
    warm_up=0,
)
