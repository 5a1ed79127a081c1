"""From nothing to the end of a command in a machine of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bare import BareGuest, machine_of
from benchmarks.clock import milliseconds
from benchmarks.daemon import IMAGE, Daemon
from benchmarks.figure import Figure, Sides, Times


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    done = daemon.create("true")
    try:
        bare = BareGuest(_machine(daemon), _seed(daemon, done))
        yield Sides(lambda: milliseconds(lambda: daemon.run("run", "--rm", IMAGE, "true")), lambda: _boot(daemon, bare))
    finally:
        daemon.remove(done)


def _machine(daemon: Daemon) -> tuple[str, ...]:
    """Processor, memory and boot files of a machine, which must run to be asked."""
    running = daemon.start("sleep", "1000")
    try:
        return machine_of(daemon.folder(running))
    finally:
        daemon.remove(running)


def _seed(daemon: Daemon, container: str) -> Path:
    """What the engine writes for a container when it starts it."""
    daemon.run_to_end(container)
    return daemon.folder(container) / "seed.tar"


def _boot(daemon: Daemon, guest: BareGuest) -> float:
    """Boot the bare guest on a fresh disk, which is made before the clock runs."""
    fresh = daemon.create("true")
    try:
        took = milliseconds(lambda: guest.run(daemon.folder(fresh)))
        said = (daemon.folder(fresh) / "ctl.log").read_text().splitlines()
        assert "exit 0" in said, f"the bare guest did not run its command: {said}"
        return took
    finally:
        daemon.remove(fresh)


FIGURE = Figure(
    name="run-cold",
    about=f"the process `ireko run --rm {IMAGE} true` beside the same guest from a bare QEMU command line, each to its exit",
    unit="ms",
    goal=Times(1.15),
    ready=_ready,
    guests=True,
    repetitions=7,
)
