"""A layer's file made anew at another place: as it was, without what it doesn't need, or on another parent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.chain import open_chain
from ireko.disk.delta import diff_id
from ireko.disk.errors import Cancelled
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations.remake import measure, remake
from ireko.disk.reference import reference_to
from ireko.host.files import disk_bytes

MIB = 1 << 20
SIZE = 16 * MIB
DATA, ZEROS = random.Random(7).randbytes(MIB), b"\0" * (4 * MIB)


def make(path: Path, parent: Path | None = None) -> Path:
    """A layer with a mebibyte of data, and four of zeros that are stored as data."""
    new = NewLayer(SIZE)
    if parent is not None:
        with open_layer(parent) as below:
            info = below.info
        reference = reference_to(info, path)
        new = NewLayer(SIZE, Allocation.DIFFERENCING, parent=reference, disk_id=info.identity.disk)
    with create_layer(path, new) as writer:
        writer.write_data(MIB, DATA)
        writer.write_data(8 * MIB, ZEROS)
        writer.finish()
    return path


def facts(path: Path) -> tuple[object, ...]:
    with open_layer(path) as layer:
        info = layer.info
        return info.size, info.identity, info.parent, info.sector_size, diff_id(layer, Progress())


@pytest.mark.parametrize("suffix", ["qcow2", "vhdx", "vhd"])
@pytest.mark.parametrize("smaller", [True, False])
def test_what_it_is_and_holds_stays(tmp_path: Path, suffix: str, *, smaller: bool) -> None:
    base = make(tmp_path / f"base.{suffix}")
    child = make(tmp_path / f"child.{suffix}", base) if suffix != "vhd" else base
    new = tmp_path / f"new.{suffix}"
    for path in (base, child):
        remake(path, new, smaller=smaller)
        assert facts(new) == facts(path)
        if smaller:
            assert disk_bytes(new) < disk_bytes(path) - 3 * MIB
        new.unlink()


@pytest.mark.parametrize("suffix", ["qcow2", "vhdx"])
def test_the_measure_is_what_is_no_zeros(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"base.{suffix}")
    before = path.read_bytes()
    assert measure(path) == len(DATA)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_another_parent_s_place_is_recorded(tmp_path: Path) -> None:
    child = make(tmp_path / "child.qcow2", make(tmp_path / "base.qcow2"))
    (tmp_path / "there").mkdir()
    (tmp_path / "base.qcow2").rename(tmp_path / "there" / "base.qcow2")
    place = ParentReference((RecordedPath(PathKind.RELATIVE, "there/base.qcow2"),), (), "qcow2")
    remake(child, tmp_path / "new.qcow2", parent=place)
    with open_chain(tmp_path / "new.qcow2") as chain:
        assert len(chain.layers) == 2
        assert chain.view.read(MIB, MIB) == DATA


def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    path, steps = make(tmp_path / "base.qcow2"), Progress()
    steps.cancel()
    with pytest.raises(Cancelled):
        remake(path, tmp_path / "new.qcow2", progress=steps)
    with pytest.raises(Cancelled):
        measure(path, progress=steps)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
