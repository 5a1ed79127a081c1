"""Converting a disk where files can share their blocks: nothing is copied, so the file system has as much room as before.

Where $TMPDIR's file system can't do that, an XFS is made in a file and mounted for as long as it is measured; that takes root and
`mkfs.xfs`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clock import milliseconds
from benchmarks.disks import DATA, FORMATS, SIZE, file_system, folder, places, write_disk
from benchmarks.figure import AtMost, Figure, Sides, Unmeasurable, median
from ireko.disk.base import NewLayer
from ireko.disk.operations import flatten

_FICLONE = 0x40049409  # linux/fs.h
_MIB = 1 << 20


@contextmanager
def _ready() -> Iterator[Sides]:
    with folder() as here, _sharing(here) as shared:
        source = shared / "disk.qcow2"
        write_disk(source, NewLayer(SIZE), places())
        times: list[float] = []

        def taken() -> float:
            """MiB for one target of each format."""
            before = _free(shared)
            targets = [shared / f"new.{suffix}" for suffix in FORMATS]
            times.append(milliseconds(lambda: _convert(source, targets)))
            after = _free(shared)
            for target in targets:
                target.unlink()
            return (before - after) / _MIB

        yield Sides(taken, notes=lambda: [f"on {file_system(shared)}; all three in {median(times):.0f} ms"])


def _convert(source: Path, targets: list[Path]) -> None:
    for target in targets:
        flatten(source, target)


def _free(path: Path) -> int:
    """Bytes that are free when everything that is to be written is."""
    os.sync()
    found = os.statvfs(path)
    return found.f_bfree * found.f_frsize


@contextmanager
def _sharing(here: Path) -> Iterator[Path]:
    """A folder on a file system whose files can share blocks. Raises Unmeasurable."""
    if _can_share(here):
        yield here
        return
    if os.geteuid() != 0 or not shutil.which("mkfs.xfs"):
        raise Unmeasurable(
            f"files on {file_system(here)} can't share blocks, and there is no root and mkfs.xfs to make an XFS"
        )
    image, mounted = here / "xfs.img", here / "xfs"
    with image.open("wb") as file:
        file.truncate(4 * DATA)
    mounted.mkdir()
    _run("mkfs.xfs", "-q", "-m", "reflink=1", image)
    _run("mount", "-o", "loop", image, mounted)
    try:
        yield mounted
    finally:
        _run("umount", mounted)


def _can_share(here: Path) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    one, other = here / "one", here / "other"
    one.write_bytes(b"x" * 4096)
    with one.open("rb") as source, other.open("wb") as target:
        try:
            fcntl.ioctl(target, _FICLONE, source.fileno())
        except OSError:
            return False
    return True


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Unmeasurable(f"{command[0]}: {done.stdout.strip()}")


FIGURE = Figure(
    name="disk-reflink",
    about=f"the room that raw, qcow2 and VHDX copies of a disk with {DATA >> 30} GiB of data take where files can share blocks",
    unit="MiB",
    goal=AtMost(16),
    alone=_ready,
    guests=False,
    repetitions=3,
    warm_up=0,
)
