"""A writer that has no room left says so, whenever that is, and leaves nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer, open_layer
from ireko.errors import NoSpace

from .model import ABSENT, DATA, MIB, ZERO, Content, assert_holds, pattern, source_file
from .test_operations import no_file_longer_than

CONTENT, DISK = "7584f8fb-36d3-4091-afb5-b1afe587bfa8", "d62318cc-56ce-42e2-898d-16e1d1c9843e"
PARENT = ParentReference((RecordedPath(PathKind.RELATIVE, "base.vhdx"),), (CONTENT,), "vhdx")
SAMPLE = Content(
    0,
    (
        (0, MIB + 4096, DATA),
        (MIB + 4096, 2 * MIB, ABSENT),
        (2 * MIB, 3 * MIB, ZERO),
        (3 * MIB, 5 * MIB, DATA),
        (5 * MIB, 6 * MIB, ABSENT),
    ),
)
PLAIN = NewLayer(6 * MIB)
CHILD = replace(PLAIN, allocation=Allocation.DIFFERENCING, parent=PARENT, disk_id=DISK)
LENGTHS = [0, 300, 4096, 70_000, MIB + 1, 3 * MIB, 5 * MIB - 4096, 64 * MIB]
CASES = [
    ("raw", PLAIN),
    ("qcow2", PLAIN),
    ("qcow2", CHILD),
    ("vhdx", replace(PLAIN, block_size=MIB)),
    ("vhdx", replace(PLAIN, allocation=Allocation.FIXED)),
    ("vhdx", replace(CHILD, block_size=MIB)),
    ("vhd", PLAIN),
    ("vhd", replace(PLAIN, allocation=Allocation.FIXED)),
    ("vhd", replace(CHILD, parent=replace(PARENT, format="vhd"))),
]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(("suffix", "new"), CASES)
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str, new: NewLayer, copied: bool) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    with source_file(tmp_path) as source:
        for start, end, kind in SAMPLE.runs:
            source.write(start, pattern(0, start, end) if kind is DATA else b"")
        made = [attempt(folder / f"disk.{suffix}", new, length, source if copied else None) for length in LENGTHS]
    assert made[0] is False
    assert made[-1] is True


def attempt(path: Path, new: NewLayer, length: int, source: DiskFile | None) -> bool:
    """Write a disk where no file may be longer; whether it came to be. Else there must be nothing."""
    try:
        with no_file_longer_than(length), create_layer(path, new) as writer:
            for start, end, kind in SAMPLE.runs:
                if kind is ZERO:
                    writer.write_zero(start, end - start)
                elif kind is DATA and source:
                    writer.copy_from(source, start, start, end - start)
                elif kind is DATA:
                    writer.write_data(start, pattern(0, start, end))
            writer.finish()
    except NoSpace:
        assert list(path.parent.iterdir()) == []
        return False
    with open_layer(path) as layer:
        assert_holds(layer, SAMPLE, exact=new.parent is not None)
    path.unlink()
    return True
