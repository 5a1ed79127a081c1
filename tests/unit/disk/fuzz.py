"""Fuzzing of every reader: sound disks are damaged, and everything that reads them is run on what comes of it.

    python -m tests.unit.disk.fuzz [--seconds 60] [--first 0] [--count N] [--corpus FOLDER] [--keep FOLDER]

Each case follows from its number and the specimens alone. It is a finding when anything but an error of ours comes, when it takes
longer than it may, when memory grows beyond what the library promises, or when a file is changed. Findings are printed, and their
files kept.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ireko.disk.base import ExtentKind, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.errors import Cancelled
from ireko.disk.formats import open_layer
from ireko.disk.operations import flatten
from ireko.disk.vhdx.crc32c import crc32c
from ireko.errors import IrekoError

from .model import MIB
from .specimens import Specimen, specimens
from .test_damaged import seal, seal_vhd

_SECONDS = 20
"""Of the processor's time, for one case."""
_WAITING = 300
"""Seconds for one case, on a machine that does other things too."""
_MEMORY = 256 * MIB
_PAGE = 4096
_NUMBERS = [
    0,
    1,
    2,
    0x7F,
    0xFF,
    0xFFFF,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 62,
    1 << 63,
    (1 << 64) - 1,
    MIB,
    64 << 40,
]
_LOG, _LOG_END = MIB, 2 * MIB


class Damage:
    """One file, changed in a few places, and changed back."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self._chance = chance
        self._original = path.read_bytes()
        self._data = bytearray(self._original)
        self._changed: list[tuple[int, int]] = []
        self._places = _used_places(self._original)

    def __enter__(self) -> bytes:
        """The damaged content, as it now is in the file."""
        for _ in range(self._chance.randint(1, 4)):
            self._change()
        if self._chance.random() < 0.6:
            self._mend()
        if self._chance.random() < 0.05:
            self._data = self._data[: self._chance.randint(0, len(self._data))]
        self.path.write_bytes(self._data)
        return bytes(self._data)

    def __exit__(self, *_: object) -> None:
        self.path.chmod(0o600)
        self.path.write_bytes(self._original)

    def _change(self) -> None:
        kind = self._chance.random()
        if kind < 0.65:
            self._change_number()
        elif kind < 0.8:
            self._put(self._place(), self._chance.randbytes(self._chance.randint(1, 8)))
        elif kind < 0.9:
            start, length = self._place(), self._chance.choice([8, 32, 512, _PAGE])
            self._put(self._place(), self._data[start : start + length])
        else:
            length = self._chance.choice([8, 32, 512, _PAGE])
            self._put(self._place() // length * length, bytes(length))

    def _change_number(self) -> None:
        form = self._chance.choice(["<Q", ">Q", "<I", ">I", "<H", ">H", "<B"])
        length = struct.calcsize(form)
        place = min(self._place() // length * length, len(self._data) - length)
        (old,) = struct.unpack_from(form, self._data, place)
        (other,) = struct.unpack_from(form, self._data, min(self._place(), len(self._data) - length))
        near = [old + 1, old - 1, old ^ 1 << self._chance.randrange(8 * length), old << 1, old >> 1, len(self._data)]
        value = self._chance.choice([*near, other, *_NUMBERS]) % (1 << 8 * length)
        self._put(place, struct.pack(form, value))

    def _place(self) -> int:
        """Somewhere where the file has something, mostly near the beginning of a structure."""
        return min(
            len(self._data) - 8, self._chance.choice(self._chance.choice(self._places)) + self._chance.randint(0, 8)
        )

    def _put(self, place: int, new: bytes | bytearray) -> None:
        end = min(len(self._data), place + len(new))
        self._data[place:end] = new[: end - place]

    def _mend(self) -> None:
        """Make checksums right, so that what is behind them is reached."""
        if self.path.suffix == ".vhdx" and len(self._data) > _LOG_END:
            seal(self._data)
            _mend_log(self._data)
        elif self.path.suffix == ".vhd" and len(self._data) > 1536:
            seal_vhd(self._data)


def _used_places(data: bytes) -> tuple[list[int], list[int]]:
    """Words that aren't zero; all, and those at the beginning of a page."""
    pages = [
        place
        for place in range(0, len(data), _PAGE)
        if data.count(0, place, place + _PAGE) < min(_PAGE, len(data) - place)
    ]
    heads = [
        place + within
        for place in pages
        for within in range(0, 128, 8)
        if any(data[place + within : place + within + 8])
    ]
    return heads or [0], pages or [0]


def _mend_log(data: bytearray) -> None:
    for place in range(_LOG, _LOG_END, _PAGE):
        (length,) = struct.unpack_from("<I", data, place + 8)
        if data[place : place + 4] == b"loge" and _PAGE <= length <= 16 * _PAGE:
            entry = data[place : place + length]
            entry[4:8] = bytes(4)
            struct.pack_into("<I", data, place + 4, crc32c(entry))


def exercise(specimen: Specimen) -> None:
    """Read everything that may be read, within bounds."""
    for path in specimen.files:
        if path.suffix != ".seal":
            with contextlib.suppress(IrekoError):
                _read_layer(path)
    with contextlib.suppress(IrekoError):
        _read_chain(specimen.leaf)
    for suffix in ("raw", "qcow2", "vhdx"):
        target = specimen.folder / f"flat.{suffix}"
        with contextlib.suppress(IrekoError, Cancelled):
            flatten(specimen.leaf, target, source_format=specimen.leaf.suffix[1:], progress=_bounded())
        target.unlink(missing_ok=True)


def _read_layer(path: Path) -> None:
    with open_layer(path, format_name=path.suffix[1:]) as layer:
        list(itertools.islice(layer.check(Progress()), 50))
        for extent in itertools.islice(layer.extents(), 200):
            if extent.kind is ExtentKind.DATA:
                layer.read(extent.offset, min(extent.length, 1 << 16))
        for place in (0, MIB - 512, layer.info.size - 512):
            with contextlib.suppress(ValueError):
                layer.read(place, 1024)


def _read_chain(path: Path) -> None:
    with open_chain(path) as chain:
        problems = check_chain(chain, _bounded(), deep=chain.view.size <= 64 * MIB)
        list(itertools.islice(problems, 50))
        for extent in itertools.islice(chain.view.extents(), 200):
            chain.view.read(extent.offset, min(extent.length, 1 << 16))


def _bounded() -> Progress:
    """Stops what has become large: a damaged size may be anything."""
    begun = time.monotonic()

    def report(done: int, _: int) -> None:
        if done > 256 * MIB or time.monotonic() - begun > 3:
            progress.cancel()

    progress = Progress(report)
    return progress


@dataclass
class Fuzzing:
    """Runs cases, and remembers what came of them."""

    folder: Path
    corpus: Path | None = None
    keep: Path | None = None
    findings: list[str] = field(default_factory=list)
    cases: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._specimens = specimens(self.folder, corpus=self.corpus)
        self._peak = _memory()

    def run(self, number: int) -> None:
        """One case."""
        chance = random.Random(number)
        specimen = chance.choice(self._specimens)
        victim = chance.choice(specimen.files)
        self.cases[specimen.folder.name] += 1
        victim.chmod(0o600)
        with Damage(victim, chance) as content:
            problem = self._problem(specimen)
            if not problem and victim.read_bytes() != content:
                problem = "the file was changed"
            if problem:
                self._note(number, specimen, victim, problem)

    def _problem(self, specimen: Specimen) -> str:
        """What is wrong with how a case ended; "" for nothing."""
        try:
            with _time_limit():
                exercise(specimen)
        except Exception:  # noqa: BLE001 - what is looked for
            return traceback.format_exc()
        before, self._peak = self._peak, max(self._peak, _memory())
        return f"memory grew by {(self._peak - before) // MIB} MiB" if self._peak - before > _MEMORY else ""

    def _note(self, number: int, specimen: Specimen, victim: Path, problem: str) -> None:
        self.findings.append(f"case {number}, {specimen.folder.name}/{victim.name}: {problem}")
        print(self.findings[-1], file=sys.stderr, flush=True)
        if self.keep:
            shutil.copytree(specimen.folder, self.keep / f"case-{number}", dirs_exist_ok=True)


if sys.platform != "win32":
    import resource

    @contextlib.contextmanager
    def _time_limit() -> Iterator[None]:
        """Raises TimeoutError in what takes too much of the processor, or waits for ever."""

        def stop(*_: object) -> None:
            raise TimeoutError(f"more than {_SECONDS} s of the processor's time, or {_WAITING} s of waiting")

        before = [signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)]
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        signal.alarm(_WAITING)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
                signal.signal(number, handler)

    def _memory() -> int:
        """The most that this process has had, in bytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

else:
    _time_limit = contextlib.nullcontext

    def _memory() -> int:
        return 0


def fuzz(fuzzing: Fuzzing, *, seconds: float, first: int = 0, count: int | None = None) -> int:
    """Run cases from a number on, until the time or the count is over; how many there were."""
    end = time.monotonic() + seconds
    for number in itertools.count(first) if count is None else range(first, first + count):
        if time.monotonic() >= end:
            return number - first
        fuzzing.run(number)
    return count or 0


def main() -> int:
    """Run from the command line; the exit code is 1 when there were findings."""
    parser = argparse.ArgumentParser(description="Damage disks, and read them.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--count", type=int, help="how many cases, if the time allows")
    parser.add_argument("--corpus", type=Path, help="a folder with disks that others made, packed")
    parser.add_argument("--keep", type=Path, help="where the files of findings go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fuzzing = Fuzzing(Path(folder), arguments.corpus, arguments.keep)
        done = fuzz(fuzzing, seconds=arguments.seconds, first=arguments.first, count=arguments.count)
    for name, cases in sorted(fuzzing.cases.items()):
        print(f"{cases:8} {name}")
    print(f"{done} cases from number {arguments.first} on, {len(fuzzing.findings)} findings")
    return 1 if fuzzing.findings else 0


if __name__ == "__main__":
    sys.exit(main())
