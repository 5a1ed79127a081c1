"""Chains whose layers are of different sizes: behind a layer's end there are zeros, whatever is below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations import commit, convert_layer, flatten, merge, resize
from ireko.disk.reference import reference_to
from ireko.errors import InvalidInput

from .model import MIB


def layer(path: Path, size: int, parent: Path | None = None, *, block: int = 0) -> bytes:
    """Make a layer with something in every 64 KiB; what it shows without a parent."""
    new = NewLayer(size, block_size=block)
    if parent:
        with open_layer(parent) as below:
            reference, disk = reference_to(below.info, path), below.info.identity.disk
        new = NewLayer(size, Allocation.DIFFERENCING, block_size=block, parent=reference, disk_id=disk)
    shown, filled = bytearray(size), path.name.encode().ljust(512, b"x")
    with create_layer(path, new) as writer:
        for place in range(len(path.name) * 512, size, 1 << 16):
            writer.write_data(place, filled)
            shown[place : place + 512] = filled
        writer.finish()
    return bytes(shown)


def shows(path: Path) -> bytes:
    with open_chain(path) as chain:
        assert [str(problem) for _, problem in check_chain(chain, Progress(), deep=True)] == []
        return chain.view.read(0, chain.view.size)


@pytest.mark.parametrize("block", [0, 1 << 16])
@pytest.mark.parametrize("size", [MIB, MIB + 512, MIB - 4096])
def test_growing_brings_nothing_of_a_larger_parent_to_light(tmp_path: Path, size: int, block: int) -> None:
    layer(tmp_path / "base.qcow2", 3 * MIB)
    leaf = tmp_path / "leaf.qcow2"
    if block:  # whole clusters alone are allowed then
        with open_layer(tmp_path / "base.qcow2") as below:
            reference = reference_to(below.info, leaf)
        new = NewLayer(size, Allocation.DIFFERENCING, block_size=block, parent=reference)
        with create_layer(leaf, new) as writer:
            writer.write_data(0, b"y" * block)
            writer.finish()
    else:
        layer(leaf, size, tmp_path / "base.qcow2")
    before = shows(leaf)
    for larger in (size, 2 * MIB, 4 * MIB):
        resize(leaf, larger)
        assert shows(leaf) == before + bytes(larger - size)


def test_growing_leaves_a_format_that_has_no_larger_parents_alone(tmp_path: Path) -> None:
    """So that parent need not be there."""
    layer(tmp_path / "base.vhdx", MIB)
    layer(tmp_path / "leaf.vhdx", MIB, tmp_path / "base.vhdx")
    away = (tmp_path / "base.vhdx").rename(tmp_path / "away.vhdx")
    resize(tmp_path / "leaf.vhdx", 2 * MIB)
    away.rename(tmp_path / "base.vhdx")
    assert shows(tmp_path / "leaf.vhdx")[MIB:] == bytes(MIB)


def test_no_child_of_vhdx_becomes_smaller_than_its_parent(tmp_path: Path) -> None:
    """Nobody could open it."""
    base, middle, leaf = (tmp_path / name for name in ("base.vhdx", "middle.vhdx", "leaf.qcow2"))
    layer(base, 4 * MIB)
    layer(middle, 4 * MIB, base)
    layer(leaf, MIB, middle)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InvalidInput, match="smaller than their parents"):
        commit(leaf)
    with pytest.raises(InvalidInput, match="smaller than their parents"):
        convert_layer(leaf, tmp_path / "new.vhdx", parent=middle)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_layers_that_are_all_larger_than_what_they_stand_on_are_merged(tmp_path: Path) -> None:
    base, middle, leaf = (tmp_path / f"{name}.qcow2" for name in ("base", "middle", "leaf"))
    layer(base, MIB // 4)
    layer(middle, MIB, base)
    layer(leaf, 2 * MIB, middle)
    merge(leaf, tmp_path / "merged.qcow2", parent=base)
    assert shows(tmp_path / "merged.qcow2") == shows(leaf)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 24), min_size=2, max_size=4), st.sampled_from(["qcow2", "vhdx", "raw"]))
def test_sizes_of_any_order(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], suffix: str) -> None:
    """A chain of qcow2 on any base, read, flattened and merged one by one, against bytes."""
    folder = tmp_path_factory.mktemp("sizes")
    paths = [folder / f"{'x' * number}0.{'qcow2' if number else suffix}" for number in range(len(sizes))]
    shown = b""
    for number, (path, count) in enumerate(zip(paths, sizes, strict=True)):
        own = layer(path, count * 77_824, paths[number - 1] if number else None)
        below = shown[: len(own)].ljust(len(own), b"\0")
        shown = b"".join(
            own[place : place + 512] if any(own[place : place + 512]) else below[place : place + 512]
            for place in range(0, len(own), 512)
        )
    flatten(paths[-1], folder / "flat.raw")
    assert (folder / "flat.raw").read_bytes() == shows(paths[-1]) == shown
    for path in reversed(paths[1:]):
        assert shows(commit(path)) == shown
