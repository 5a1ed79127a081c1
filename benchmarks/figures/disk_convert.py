"""Converting a disk, beside `qemu-img convert`: 4 GiB with 1 GiB of random data in pieces of 64 KiB, in the page cache.

Both write to the same file system, one after the other, and both times are until the data is on the disk: `flatten` has it there
when it returns; QEMU's tool by default leaves it to the system, and is followed by an fsync of its file here. (Told to flush by
itself, it does so more than a thousand times for a VHDX.) The peer is that tool as it is by default; what it takes when it is
told to work at sixteen pieces at a time in any order stands in the notes. It is a program that has to be started; ours is a call
in a process that runs. The notes have the processor time of both, too: the peer works in several threads, ours in one, and it is
disturbed less by what else the host does.

At the end its `compare` looks at whether our file shows what the source shows.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.clock import milliseconds
from benchmarks.disks import DATA, FORMATS, PIECE, file_system, folder, places, write_chain, write_disk
from benchmarks.disks import SIZE as DISK_SIZE
from benchmarks.figure import Figure, Sides, Times
from ireko.disk.base import NewLayer
from ireko.disk.operations import flatten

_ANY_ORDER = ("-W", "-m", "16")
_DEPTH = 3


class _Runs:
    """What one side has taken, in milliseconds: by the clock, and of processors."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._processors: list[float] = []

    @property
    def time(self) -> float:
        """By the clock."""
        return median(self._times)

    @property
    def processors(self) -> float:
        """Of processors, in the kernel and outside it."""
        return median(self._processors)

    def take(self, work: Callable[[], object]) -> float:
        """Do it once more; how long it takes."""
        before = _processors()
        self._times.append(milliseconds(work))
        self._processors.append(_processors() - before)
        return self._times[-1]


def _processors() -> float:
    """What this process and the programs that it has waited for have had."""
    return sum(os.times()[:4]) * 1000


class _Conversion:
    """One disk, turned into one format by us and by the peer."""

    def __init__(self, source: Path, target: str) -> None:
        self.source = source
        self._target = target
        self._here = source.parent
        self._ours, self._peer, self._any_order = _Runs(), _Runs(), _Runs()

    def ours(self) -> float:
        """How long we take."""
        target = self._fresh("ours")
        return self._ours.take(lambda: flatten(self.source, target))

    def peer(self) -> float:
        """How long the peer takes by default."""
        self._any_order.take(functools.partial(self._convert, _ANY_ORDER, self._fresh("theirs")))
        return self._peer.take(functools.partial(self._convert, (), self._fresh("theirs")))

    def notes(self) -> list[str]:
        """What else to know. Raises CalledProcessError when the two files show different things."""
        written = self._here / f"ours.{self._target}"
        formats = ("-f", self.source.suffix[1:], "-F", self._target)
        subprocess.run(["qemu-img", "compare", "-q", *formats, self.source, written], check=True)
        told, ratio = self._any_order.time, self._ours.time / self._any_order.time
        ours, peer = self._ours.processors, self._peer.processors
        return [
            f"on {file_system(self._here)}; the peer with {' '.join(_ANY_ORDER)}: {told:.0f} ms, ratio {ratio:.2f}",
            f"processor time: {ours:.0f} ms, the peer {peer:.0f} ms, ratio {ours / peer:.2f}",
        ]

    def _fresh(self, name: str) -> Path:
        """A name without a file."""
        path = self._here / f"{name}.{self._target}"
        path.unlink(missing_ok=True)
        return path

    def _convert(self, way: tuple[str, ...], target: Path) -> None:
        formats = ("-f", self.source.suffix[1:], "-O", self._target)
        subprocess.run(["qemu-img", "convert", *way, *formats, self.source, target], check=True)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _pair(source: str, target: str) -> Iterator[Sides]:
    with folder() as here:
        path = here / f"disk.{source}"
        write_disk(path, NewLayer(DISK_SIZE), places())
        conversion = _Conversion(path, target)
        yield Sides(conversion.ours, conversion.peer, conversion.notes)


@contextmanager
def _chain() -> Iterator[Sides]:
    with folder() as here:
        where = places()
        plain = here / "disk.vhdx"
        write_disk(plain, NewLayer(DISK_SIZE), where)
        leaf = write_chain(here, "vhdx", _DEPTH, [where[number::_DEPTH] for number in range(_DEPTH)])
        yield Sides(
            _Conversion(leaf, "vhdx").ours, _Conversion(plain, "vhdx").ours, lambda: [f"on {file_system(here)}"]
        )


_CONTENT = f"{DISK_SIZE >> 30} GiB with {DATA >> 30} GiB of data in pieces of {PIECE >> 10} KiB"

FIGURES = (
    *(
        Figure(
            name=f"disk-{source}-{target}",
            about=f"{source} to {target}, {_CONTENT}, beside qemu-img",
            unit="ms",
            goal=Times(1),
            alone=functools.partial(_pair, source, target),
            guests=False,
            repetitions=3,
        )
        for source in FORMATS
        for target in FORMATS
    ),
    Figure(
        name="disk-chain",
        about=f"a chain of {_DEPTH} VHDX layers to one, {_CONTENT}, beside VHDX to VHDX",
        unit="ms",
        goal=Times(1.3),
        alone=_chain,
        guests=False,
        repetitions=5,
    ),
)
