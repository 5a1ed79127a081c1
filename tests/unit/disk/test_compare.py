"""The first difference of two disks is found, and no more is read for it than must be."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import open_chain
from ireko.disk.errors import Cancelled
from ireko.disk.files import DiskFile, WritableBuffer
from ireko.disk.formats import create_layer, format_for
from ireko.disk.operations import flatten
from ireko.disk.operations.compare import first_difference
from ireko.disk.pairs import PIECE, are_equal, first_unequal
from ireko.disk.view import View

from .model import ABSENT, DATA, MIB, Content
from .stacks import Stack, add_layer, stacks


def difference(one: Path, other: Path) -> int | None:
    with open_chain(one) as first, open_chain(other) as second:
        progress = Progress()
        found = first_difference(first.view, second.view, progress)
        assert found is not None or progress.done == progress.total
        return found


@given(st.binary(min_size=1, max_size=300), st.data())
def test_the_first_unequal_byte_is_found(content: bytes, data: st.DataObject) -> None:
    changed = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        changed[place] ^= 1
    expected = next((place for place in range(len(content)) if content[place] != changed[place]), None)
    assert are_equal(content, changed, len(content)) is (expected is None)
    if expected is not None:
        assert first_unequal(content, changed, len(content)) == expected
        assert first_unequal(changed, content, len(content)) == expected


@settings(max_examples=40, deadline=None)
@given(stacks(), st.sampled_from(["raw", "qcow2", "vhdx", "vhd"]), st.data())
def test_a_changed_byte_is_found(stack: Stack, name: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as text:
        folder = Path(text)
        leaf = stack.write(folder)[-1]
        copy, changed = folder / f"copy.{name}", folder / "changed.raw"
        flatten(leaf, copy)
        assert difference(leaf, copy) is None
        content = bytearray(stack.shown())
        places = data.draw(st.sets(st.integers(0, len(content) - 1), min_size=1, max_size=3))
        for place in places:
            content[place] ^= 1
        changed.write_bytes(content)
        assert difference(copy, changed) == difference(changed, leaf) == min(places)


def test_behind_its_end_a_disk_shows_zeros(tmp_path: Path) -> None:
    short, long, other = (tmp_path / f"{name}.raw" for name in ("short", "long", "other"))
    short.write_bytes(b"x" * MIB)
    long.write_bytes(b"x" * MIB + bytes(2 * MIB))
    other.write_bytes(b"x" * MIB + bytes(2 * MIB - 512) + b"y" * 512)
    assert difference(short, long) is None
    assert difference(short, other) == difference(other, long) == 3 * MIB - 512


class Counting(DiskFile):
    """Counts what is read, tables and data."""

    counted = 0

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        self.counted += len(buffer)
        return super().read_into(offset, buffer)


def counting(*paths: Path) -> tuple[View, list[Counting]]:
    """The layers of a chain, newest first, and their files."""
    files = [Counting(path) for path in paths]
    return View([format_for(file.path).open(file) for file in files]), files


def test_what_is_known_to_be_alike_is_not_read(tmp_path: Path) -> None:
    """Zeros on both sides, holes of a fixed disk, and one place of a file that both stand on."""
    content = Content(1, ((0, 3 * MIB, DATA), (3 * MIB, 512 * MIB, ABSENT)))
    base, one, other, copy = (tmp_path / name for name in ("base.vhdx", "one.qcow2", "other.vhdx", "copy.vhd"))
    add_layer(base, content)
    change = Content(2, ((0, 4096, ABSENT), (4096, 8192, DATA), (8192, 512 * MIB, ABSENT)))
    add_layer(one, change, base)
    add_layer(other, change, base)
    flatten(one, copy, allocation=Allocation.FIXED)
    (first, files), (second, _), (third, copies) = counting(one, base), counting(other, base), counting(copy)
    assert first_difference(first, second, Progress()) is None
    assert files[1].counted < MIB
    assert first_difference(first, third, Progress()) is None
    assert 3 * MIB <= copies[0].counted < 4 * MIB
    for view in (first, second, third):
        for layer in view.layers:
            layer.close()


def test_comparing_can_be_cancelled(tmp_path: Path) -> None:
    paths = [tmp_path / "one.raw", tmp_path / "other.raw"]
    for path in paths:
        path.write_bytes(b"x" * 3 * PIECE)
    progress = Progress(lambda done, _: progress.cancel() if done >= PIECE else None)
    with (
        open_chain(paths[0]) as one,
        open_chain(paths[1]) as other,
        pytest.raises(Cancelled),
    ):
        first_difference(one.view, other.view, progress)
    assert progress.done == PIECE


def test_an_empty_disk_is_like_zeros(tmp_path: Path) -> None:
    path, raw = tmp_path / "empty.vhdx", tmp_path / "zeros.raw"
    with create_layer(path, NewLayer(MIB)) as writer:
        writer.finish()
    raw.write_bytes(bytes(MIB))
    assert difference(path, raw) is None
