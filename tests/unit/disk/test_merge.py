"""Layers that are merged, or that are made of a difference, show what was shown, on the parent that was wanted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, ExtentKind, NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations import commit, first_difference, rebase
from ireko.disk.operations.merge import merge, write_on_top
from ireko.disk.reference import reference_to
from ireko.errors import Conflict, InvalidInput, Unsupported

from .model import ABSENT, DATA, MIB, ZERO, Content, contents
from .stacks import BORDERS, Stack, add_layer, stacks


def shows(path: Path, *, within: Path | None = None) -> bytes:
    with open_chain(path, within=[within or path.parent]) as chain:
        assert [str(problem) for _, problem in check_chain(chain, Progress(), deep=True)] == []
        return chain.view.read(0, chain.view.size)


def parent_of(path: Path) -> Path:
    with open_chain(path) as chain:
        assert chain.parent is not None
        return chain.parent.info.path


@settings(max_examples=40, deadline=None)
@given(stacks(), st.data())
def test_merged_layers_show_what_they_showed(stack: Stack, data: st.DataObject) -> None:
    if len(stack.formats) < 2:
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = stack.write(folder)
        onto = data.draw(st.integers(0, len(paths) - 2))
        suffix = data.draw(st.sampled_from(["qcow2", {"raw": "qcow2"}.get(stack.formats[onto], stack.formats[onto])]))
        target = folder / f"merged.{suffix}"
        before = [path.read_bytes() for path in paths]
        merge(paths[-1], target, parent=paths[onto])
        assert shows(target) == stack.shown()
        assert parent_of(target) == paths[onto]
        assert [path.read_bytes() for path in paths] == before


@settings(max_examples=40, deadline=None)
@given(stacks(), stacks(), st.booleans())
def test_a_difference_shows_the_other_disk(stack: Stack, other: Stack, vhdx: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        one, two = folder / "one", folder / "two"
        one.mkdir()
        two.mkdir()
        source, parent = stack.write(one)[-1], other.write(two)[-1]
        target = folder / ("difference.vhdx" if vhdx else "difference.qcow2")
        fits = not vhdx or (other.formats[-1] == "vhdx" and other.size <= stack.size)
        if not fits:
            with pytest.raises(InvalidInput):
                write_on_top(source, target, parent=parent, within=[folder])
            assert not target.exists()
            return
        write_on_top(source, target, parent=parent, within=[folder])
        assert shows(target, within=folder) == stack.shown()


@settings(max_examples=40, deadline=None)
@given(stacks(), st.data())
def test_disks_that_share_layers_differ_where_they_show_something_else(stack: Stack, data: st.DataObject) -> None:
    content = data.draw(contents(size=stack.size, sector=512, anchors=BORDERS, seed=70, longest=50000 // 512 * 512))
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = stack.write(folder)
        below = data.draw(st.integers(1, len(paths)))
        sibling, target = folder / "sibling.qcow2", folder / "target.qcow2"
        add_layer(sibling, content, paths[below - 1])
        one, other = stack.shown(), shows(sibling)
        wanted = next((place for place in range(stack.size) if one[place] != other[place]), None)
        with open_chain(paths[-1]) as first, open_chain(sibling) as second:
            assert first_difference(first.view, second.view, Progress()) == wanted
        write_on_top(paths[-1], target, parent=sibling)
        assert shows(target) == one


def test_what_both_disks_share_is_in_no_difference(tmp_path: Path) -> None:
    """The same file below both, and the same content in different files."""
    content = Content(1, ((0, MIB, DATA), (MIB, 4 * MIB, ABSENT)))
    base, copy, one, other = (tmp_path / name for name in ("base.qcow2", "copy.raw", "one.qcow2", "other.qcow2"))
    add_layer(base, content)
    add_layer(copy, content)
    add_layer(one, Content(2, ((0, 8192, DATA), (8192, 4 * MIB, ABSENT))), base)
    add_layer(other, Content(3, ((0, 4096, ABSENT), (4096, 12288, ZERO), (12288, 4 * MIB, ABSENT))), base)
    for number, parent in enumerate((other, copy)):
        target = tmp_path / f"{number}.qcow2"
        write_on_top(one, target, parent=parent)
        with open_layer(target) as layer:
            found = [(each.offset, each.end) for each in layer.extents() if each.kind is not ABSENT]
        assert found == [[(0, 12288)], [(0, 8192)]][number]


def test_zeros_hide_what_the_new_parent_holds(tmp_path: Path) -> None:
    base, empty, target = (tmp_path / name for name in ("base.vhdx", "empty.raw", "target.vhdx"))
    add_layer(base, Content(1, ((0, 3 * MIB, DATA), (3 * MIB, 64 * MIB, ABSENT))))
    empty.write_bytes(bytes(64 * MIB))
    write_on_top(empty, target, parent=base)
    with open_layer(target) as layer:
        kinds = [(each.length, each.kind) for each in layer.extents()]
    assert kinds[0][1] is ExtentKind.ZERO
    assert shows(target) == bytes(64 * MIB)


def test_a_raw_disk_that_ends_inside_a_sector(tmp_path: Path) -> None:
    raw, base, target = (tmp_path / name for name in ("disk.raw", "base.qcow2", "target.qcow2"))
    raw.write_bytes(b"x" * (MIB + 100))
    add_layer(base, Content(1, ((0, MIB, DATA), (MIB, 2 * MIB, ABSENT))))
    write_on_top(raw, target, parent=base)
    assert shows(target) == b"x" * (MIB + 100) + bytes(412)


def shrunk(folder: Path) -> list[Path]:
    """A chain whose middle layer is smaller than the others: behind its end there are zeros."""
    paths = [folder / f"{number}.qcow2" for number in range(3)]
    for number, size in enumerate((4 * MIB, MIB, 4 * MIB)):
        parent = None
        if number:
            with open_layer(paths[number - 1]) as layer:
                parent = reference_to(layer.info, paths[number])
        kind = Allocation.DIFFERENCING if parent else Allocation.DYNAMIC
        with create_layer(paths[number], NewLayer(size, kind, parent=parent)) as writer:
            for place in range(number * 4096, size, MIB // 2):
                writer.write_data(place, bytes([number + 1]) * 4096)
            writer.finish()
    return paths


def test_behind_the_end_of_a_merged_layer_there_are_zeros(tmp_path: Path) -> None:
    paths = shrunk(tmp_path)
    expected = shows(paths[-1])
    target = tmp_path / "merged.qcow2"
    merge(paths[-1], target, parent=paths[0])
    assert shows(target) == expected
    commit(paths[-1])
    assert shows(paths[1]) == expected


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_rebasing_knows_sectors_of_4096(data: st.DataObject) -> None:
    layers = [
        data.draw(contents(size=5 * MIB, sector=4096, anchors=BORDERS, seed=number, longest=49152))
        for number in range(3)
    ]
    with TemporaryDirectory() as name:
        paths = [Path(name) / f"{number}.vhdx" for number in range(3)]
        for path, content, parent in zip(paths, layers, (None, paths[0], None), strict=True):
            add_4k(path, content, parent)
        expected = shows(paths[1])
        target = Path(name) / "target.vhdx"
        write_on_top(paths[1], target, parent=paths[2])
        rebase(paths[1], paths[2])
        assert shows(target) == shows(paths[1]) == expected


def add_4k(path: Path, content: Content, parent: Path | None) -> None:
    new = NewLayer(5 * MIB, sector_size=4096, block_size=MIB)
    if parent:
        with open_layer(parent) as layer:
            new = NewLayer(
                5 * MIB,
                Allocation.DIFFERENCING,
                sector_size=4096,
                block_size=MIB,
                parent=reference_to(layer.info, path),
                disk_id=layer.info.identity.disk,
            )
    with create_layer(path, new) as writer:
        content.write(writer)
        writer.finish()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    base, middle, leaf = Stack(
        ("qcow2", "qcow2", "qcow2"), tuple(Content(number, ((0, MIB, DATA),)) for number in range(3))
    ).write(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Conflict, match="does not stand on"):
        merge(middle, tmp_path / "new.qcow2", parent=leaf)
    with pytest.raises(Conflict, match="does not stand on"):
        merge(leaf, tmp_path / "new.qcow2", parent=leaf)
    with pytest.raises(Conflict, match="made from"):
        merge(leaf, base, parent=base, replace=True)
    with pytest.raises(Unsupported):
        merge(leaf, tmp_path / "new.raw", parent=base)
    assert sorted(tmp_path.iterdir()) == before


def test_a_new_layer_may_be_made_elsewhere(tmp_path: Path) -> None:
    """Its parent is found from where it will lie."""
    base, leaf = Stack(("qcow2", "qcow2"), (Content(1, ((0, MIB, DATA),)), Content(2, ((0, MIB, DATA),)))).write(
        tmp_path
    )
    away, home = tmp_path / "away", tmp_path / "home" / "deep"
    away.mkdir()
    home.mkdir(parents=True)
    merge(leaf, away / "new.qcow2", parent=base, placed=home / "new.qcow2")
    (away / "new.qcow2").rename(home / "new.qcow2")
    assert shows(home / "new.qcow2", within=tmp_path) == shows(leaf)
