"""Commit of a container that does not run, whatever was written in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.clock import milliseconds
from benchmarks.daemon import Daemon
from benchmarks.figure import AtMost, Figure, Sides, median
from benchmarks.figures.container_size import kibibytes_on_disk

_WRITTEN = 128  # MiB
_REPETITIONS = 3
# Not zeros, which a disk leaves out. Random bytes are dear, so the same few are written again and again.
_PIECE = 4  # MiB
_WRITER = f"""
dd if=/dev/urandom of=/piece bs=1M count={_PIECE} &&
for n in $(seq {_WRITTEN // _PIECE}); do cat /piece; done > /data
"""


class _Stopped:
    """Containers that ran one command each, to be committed once; their images go with them."""

    def __init__(self, daemon: Daemon, argv: tuple[str, ...]) -> None:
        self._daemon = daemon
        self._argv = argv
        self._waiting: list[str] = []
        self._done: list[str] = []
        self._images: list[str] = []
        self.values: list[float] = []
        self.sizes: list[float] = []

    def prepare(self, number: int) -> None:
        """Run so many of them to their end."""
        for _ in range(number):
            self._waiting.append(self._daemon.create(*self._argv))
            self._daemon.run_to_end(self._waiting[-1])

    def commit(self) -> float:
        """How long the next one's commit takes."""
        container = self._waiting.pop()
        self._done.append(container)
        self.sizes.append(kibibytes_on_disk(self._daemon.folder(container)) / 1024)
        commit: Callable[[], None] = lambda: self._images.append(self._daemon.client.containers.commit(container)["Id"])  # noqa: E731
        self.values.append(milliseconds(commit))
        return self.values[-1]

    def remove(self) -> None:
        """Containers first, as they stand on their images."""
        for container in (*self._waiting, *self._done):
            self._daemon.remove(container)
        for image in self._images:
            self._daemon.client.images.remove(image)


@contextmanager
def _ready(daemon: Daemon) -> Iterator[Sides]:
    full, empty = _Stopped(daemon, ("sh", "-c", _WRITER)), _Stopped(daemon, ("true",))
    try:
        for each in (full, empty):
            each.prepare(_REPETITIONS + 1)
        yield Sides(full.commit, empty.commit, lambda: [_note(full, empty)])
    finally:
        for each in (full, empty):
            each.remove()


def _note(full: _Stopped, empty: _Stopped) -> str:
    return (
        f"with {median(full.sizes):.0f} MiB in the layer {median(full.values[1:]):.1f} ms, "
        f"with {median(empty.sizes):.1f} MiB {median(empty.values[1:]):.1f} ms"
    )


FIGURE = Figure(
    name="commit-stopped",
    about=f"POST /commit of a stopped container that wrote {_WRITTEN} MiB",
    unit="ms",
    goal=AtMost(50),
    ready=_ready,
    guests=True,
    repetitions=_REPETITIONS,
)
