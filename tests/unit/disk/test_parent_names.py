"""Names of parents that are long, odd, behind links, or written in another case, and those that a format can't record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.chain import open_chain
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.links import ChainBroken
from ireko.disk.operations import commit, repair
from ireko.errors import Conflict, InvalidInput

from .model import ABSENT, DATA, MIB, Content
from .stacks import add_layer

BASE = Content(1, ((0, MIB, DATA),))
CHILD = Content(2, ((0, 512, DATA), (512, MIB, ABSENT)))
SHOWN = CHILD.bytes_of(0, 512) + BASE.bytes_of(512, 1024)
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names, or no such links")


def made(base: Path, child: Path) -> None:
    """Make a disk and its child, which is found to stand on it."""
    add_layer(base, BASE)
    add_layer(child, CHILD, base)
    assert_linked(child, base)


def assert_linked(child: Path, base: Path) -> None:
    with open_chain(child, within=[base.parent.resolve(), child.parent]) as chain:
        assert chain.base.info.path.samefile(base)
        assert chain.view.read(0, 1024) == SHOWN


@pytest.mark.parametrize("suffix", ["qcow2", "vhdx", "vhd"])
@pytest.mark.parametrize("name", ["größer und länger", "入れ子", "100%41 & 'more'", "..leading", "-rf", " ", "e\u0301"])
def test_a_name_in_any_language(tmp_path: Path, name: str, suffix: str) -> None:
    made(tmp_path / f"{name}.{suffix}", tmp_path / f"child.{suffix}")
    (tmp_path / name).mkdir()
    made(tmp_path / name / f"1.{suffix}", tmp_path / f"2.{suffix}")


@on_posix
@pytest.mark.parametrize("name", ["nbd:base", "json:{}", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_qemu_could_take_for_something_else(tmp_path: Path, name: str, qemu_img: str) -> None:
    made(tmp_path / f"{name}.qcow2", tmp_path / "child.qcow2")
    command = [qemu_img, "convert", "-O", "raw", "child.qcow2", "flat"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "flat").read_bytes()[:1024] == SHOWN


@on_posix
@pytest.mark.parametrize("suffix", ["vhdx", "vhd"])
@pytest.mark.parametrize("name", [b"caf\xe9", b"dev\\x2dsda"])
def test_a_name_that_is_another_on_windows_is_not_recorded(tmp_path: Path, name: bytes, suffix: str) -> None:
    base = tmp_path / f"{os.fsdecode(name)}.{suffix}"
    add_layer(base, BASE)
    with pytest.raises(InvalidInput, match="that Windows can read"):
        add_layer(tmp_path / f"child.{suffix}", CHILD, base)
    assert list(tmp_path.iterdir()) == [base]
    child = tmp_path / "child.qcow2"
    add_layer(child, CHILD, base)
    assert_linked(child, base)


@pytest.mark.parametrize(
    ("bits", "length", "fits"),
    [(14, 1023, True), (14, 1024, False), (11, 1023, True), (10, 1023, False), (9, 401, False)],
)
def test_a_long_name_fits_before_the_tables(tmp_path: Path, bits: int, length: int, fits: bool) -> None:
    path = tmp_path / "child.qcow2"
    text = "n" * length
    parent = ParentReference((RecordedPath(PathKind.RELATIVE, text),), format="qcow2")
    new = NewLayer(MIB, Allocation.DIFFERENCING, block_size=1 << bits, parent=parent)
    if not fits:
        with pytest.raises(InvalidInput, match="name"):
            create_layer(path, new)
        assert list(tmp_path.iterdir()) == []
        return
    with create_layer(path, new) as writer:
        writer.write_data(0, b"x" * MIB)
        writer.finish()
    with open_layer(path) as layer:
        assert layer.info.parent is not None
        assert layer.info.parent.paths[0].text == text
        assert layer.read(0, MIB) == b"x" * MIB


@on_posix
@pytest.mark.parametrize("suffix", ["qcow2", "vhdx", "vhd"])
def test_a_child_in_a_folder_behind_a_link_finds_its_parent(tmp_path: Path, suffix: str) -> None:
    """The way up from there is another than the one that led there."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far" / "away")
    base = tmp_path / "near" / f"base.{suffix}"
    add_layer(base, BASE)
    add_layer(tmp_path / "near" / "link" / f"child.{suffix}", CHILD, base)
    for folder in (tmp_path / "near" / "link", tmp_path / "far" / "away"):
        with open_chain(folder / f"child.{suffix}", within=[tmp_path]) as chain:
            assert chain.base.info.path.samefile(base)


@on_posix
def test_a_parent_is_named_by_the_link_that_was_given(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to("v1")
    add_layer(tmp_path / "v1" / "base.qcow2", BASE)
    (tmp_path / "newest.qcow2").symlink_to("v1/base.qcow2")
    for parent in ("current/base.qcow2", "newest.qcow2"):
        child = tmp_path / f"on-{Path(parent).parts[0]}.qcow2"
        add_layer(child, CHILD, tmp_path / parent)
        with open_layer(child) as layer:
            assert layer.info.parent is not None
            assert layer.info.parent.paths[0].text == parent
        assert_linked(child, tmp_path / parent)


@on_posix
@pytest.mark.parametrize("suffix", ["vhdx", "vhd"])
def test_windows_does_not_mind_the_case_of_a_name(tmp_path: Path, suffix: str) -> None:
    """What was typed there need not be what the file is called."""
    base, child = tmp_path / f"Base.{suffix}", tmp_path / f"child.{suffix}"
    made(base, child)
    folder = tmp_path / "disks"
    folder.mkdir()
    moved = base.rename(folder / f"BASE.{suffix.upper()}")
    with pytest.raises(ChainBroken, match="missing"):
        open_chain(child)
    assert_linked(child, moved)
    other = folder / f"base.{suffix}"
    add_layer(other, BASE)  # with the same content, and yet another disk
    assert_linked(child, moved)
    sibling = tmp_path / f"sibling.{suffix}"
    sibling.write_bytes(child.read_bytes())
    with pytest.raises(Conflict, match="sibling"):
        commit(child, within=[tmp_path, folder])


@on_posix
def test_the_case_of_a_qcow2_name_counts(tmp_path: Path) -> None:
    made(tmp_path / "Base.qcow2", tmp_path / "child.qcow2")
    (tmp_path / "Base.qcow2").rename(tmp_path / "base.qcow2")
    with pytest.raises(ChainBroken, match="missing"):
        open_chain(tmp_path / "child.qcow2")


@on_posix
def test_no_folder_outside_is_searched(tmp_path: Path) -> None:
    base, child = tmp_path / "Base.vhdx", tmp_path / "child" / "child.vhdx"
    child.parent.mkdir()
    made(base, child)
    base.rename(tmp_path / "BASE.vhdx")
    with pytest.raises(ChainBroken):
        open_chain(child)
    with pytest.raises(ChainBroken):
        repair(child)


@pytest.mark.parametrize("suffix", ["vhdx", "vhd"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (PathKind.ABSOLUTE, r"Q:\disks\Base"),
        (PathKind.ABSOLUTE, r"\\?\Q:\disks\Base"),
        (PathKind.ABSOLUTE, r"\\server\share\disks\Base"),
        (PathKind.VOLUME, r"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\disks\Base"),
        (PathKind.RELATIVE, r"..\..\gone\Base"),
        (PathKind.RELATIVE, "Base"),
    ],
)
def test_one_path_of_any_kind_is_enough_beside_the_child(
    tmp_path: Path, suffix: str, kind: PathKind, text: str
) -> None:
    """Such as that of a chain which was copied from a Windows host into one folder."""
    base, child = tmp_path / f"Base.{suffix}", tmp_path / f"child.{suffix}"
    add_layer(base, BASE)
    with open_layer(base) as layer:
        identity = layer.info.identity
    path = RecordedPath(kind, f"{text}.{suffix}", windows=True)
    parent = ParentReference((path,), (identity.content,), suffix)
    new = NewLayer(MIB, Allocation.DIFFERENCING, parent=parent, disk_id=identity.disk)
    if suffix == "vhd" and kind is PathKind.VOLUME:
        with pytest.raises(InvalidInput):
            create_layer(child, new)
        return
    with create_layer(child, new) as writer:
        CHILD.write(writer)
        writer.finish()
    assert_linked(child, base)
    with open_layer(child) as layer:
        assert layer.info.parent is not None
        assert [(each.kind, each.pure().name) for each in layer.info.parent.paths] == [(kind, base.name)]
