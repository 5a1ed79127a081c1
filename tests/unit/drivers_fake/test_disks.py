"""Fake guests' disks are disks like any other: what is made of a chain shows the same files."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from ireko.disk.base import NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.operations import compact, convert_layer, flatten
from ireko.drivers.fake import content
from ireko.drivers.fake.book import base_disk
from ireko.drivers.fake.content import Files, Node
from ireko.drivers.fake.disks import FakeDisks, new_layer, write_disk
from ireko.drivers.fake.filesystem import FileSystem
from ireko.drivers.fake.tree import Tree, file, folder
from ireko.errors import Damaged, NoSpace
from ireko.model.image import GIB

DISKS = FakeDisks(lambda step: None)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return base_disk(tmp_path / "base.qcow2")


@pytest.fixture
def leaf(base: Path) -> Path:
    """A container's disk: two layers on the base, the lower one with a tree that is longer than the upper one's."""
    path = base
    for number, text in enumerate((b"long " * 5000, b"short")):
        above = path.with_name(f"layer{number}.qcow2")
        DISKS.create(above, parent=path, capacity=GIB)
        files = FileSystem(Tree(above))
        files.write("/kept", text)
        files.write(f"/{number}", text)
        path = above
    files.remove("/0")
    files.remove("/etc/hostname")
    return path


def shown(path: Path) -> Files:
    return dict(Tree(path, read_only=True).items())


def test_a_chain_is_sound_and_its_links_are_relative(leaf: Path) -> None:
    with open_chain(leaf) as chain:
        assert not list(check_chain(chain, Progress(), deep=True))
        references = [layer.info.parent.paths[0].text for layer in chain.layers if layer.info.parent]
    assert references == ["layer0.qcow2", "base.qcow2"]


def test_what_was_written_shows(leaf: Path) -> None:
    files = shown(leaf)
    assert files["/kept"].data == b"short"
    assert "/0" not in files
    assert "/etc/hostname" not in files
    assert files["/etc/passwd"] == shown(leaf.with_name("base.qcow2"))["/etc/passwd"]


@pytest.mark.parametrize("suffix", ["qcow2", "vhdx", "vhd", "raw"])
def test_a_flattened_chain_shows_the_same(leaf: Path, suffix: str) -> None:
    flat = leaf.with_name(f"flat.{suffix}")
    flatten(leaf, flat)
    before = shown(leaf)
    for each in ("layer1", "layer0", "base"):
        leaf.with_name(f"{each}.qcow2").unlink()
    assert shown(flat) == before


def test_a_chain_that_went_to_vhdx_and_back_shows_the_same(leaf: Path) -> None:
    names = ("base", "layer0", "layer1")
    for source, target, suffix in (("", "there-", "vhdx"), ("there-", "back-", "qcow2")):
        parent: Path | None = None
        for name in names:
            before = next(leaf.parent.glob(f"{source}{name}.*"))
            after = leaf.with_name(f"{target}{name}.{suffix}")
            convert_layer(before, after, parent=parent)
            parent = after
    back = leaf.with_name("back-layer1.qcow2")
    assert shown(leaf) == shown(leaf.with_name("there-layer1.vhdx")) == shown(back)
    FileSystem(Tree(back)).write("/later", b"later")
    assert FileSystem(Tree(back)).read("/later") == b"later"
    with open_chain(back) as chain:
        assert [layer.info.path.name for layer in chain.layers] == [f"back-{name}.qcow2" for name in reversed(names)]


def test_a_compacted_leaf_is_written_to_as_before(leaf: Path) -> None:
    before = shown(leaf)
    compact(leaf)
    assert shown(leaf) == before
    FileSystem(Tree(leaf)).write("/later", b"later")
    assert FileSystem(Tree(leaf)).read("/later") == b"later"


def test_parents_may_lie_anywhere(leaf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "containers" / "box"
    folder.mkdir(parents=True)
    far = folder / "disk.qcow2"
    DISKS.create(far, parent=leaf, capacity=GIB)
    assert shown(far) == shown(leaf)


def test_a_disk_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.qcow2"
    write_disk(path, new_layer(GIB), bytes(512) + b"a file system of another kind")
    with pytest.raises(Damaged, match=r'the disk ".*other\.qcow2" has no files for a toy guest'):
        Tree(path)


def test_a_tree_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.qcow2"
    data = content.encode({"/a": folder()}, GIB)
    write_disk(path, new_layer(GIB), data[:-5])
    with pytest.raises(Damaged, match=r"the file tree on the disk .* can't be read"):
        Tree(path)
    write_disk(path, new_layer(GIB), data[:8] + (GIB + 1).to_bytes(8, "little"))
    with pytest.raises(Damaged, match=f"has {GIB + 1} bytes, it must have {GIB - 16} or fewer"):
        Tree(path)


@pytest.mark.parametrize("suffix", ["qcow2", "raw"])
def test_a_disk_that_is_full_stays_as_it_was(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"small.{suffix}"
    write_disk(path, new_layer(8192) if suffix == "qcow2" else NewLayer(8192), format_name=suffix)
    tree = Tree(path)
    tree.put(("/little", file(b"x" * 4000)))
    with pytest.raises(OSError, match="No space left") as caught:
        tree.put(("/much", file(b"x" * 8000)))
    assert caught.value.errno == errno.ENOSPC
    assert [name for name, _ in tree.items()] == ["/", "/little"]
    assert dict(tree.items()) == shown(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of this kind")
def test_a_host_that_is_full_leaves_the_disk_as_it_was(leaf: Path) -> None:
    import resource

    tree = Tree(leaf)
    before = shown(leaf)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(NoSpace, match=leaf.name) as caught:
            tree.put(("/more", file(b"more")))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint == "ireko system df"
    assert dict(tree.items()) == before == shown(leaf)
    assert not leaf.with_name(f".{leaf.name}.new").exists()
    tree.put(("/more", file(b"more")))
    assert shown(leaf)["/more"].data == b"more"


def test_what_a_killed_process_left_is_written_over(leaf: Path) -> None:
    leaf.with_name(f".{leaf.name}.new").write_bytes(b"half a file" * 100_000)
    FileSystem(Tree(leaf)).write("/later", b"later")
    assert FileSystem(Tree(leaf)).read("/later") == b"later"
    assert sorted(path.name for path in leaf.parent.iterdir()) == ["base.qcow2", "layer0.qcow2", "layer1.qcow2"]


def test_a_large_disk_takes_little_room(base: Path) -> None:
    large = base.with_name("large.qcow2")
    DISKS.create(large, parent=base, capacity=1 << 40)
    Tree(large).put(("/link", Node("link", 0o120777, 0, target="a")))
    larger = base.with_name("larger.qcow2")
    DISKS.create(larger, parent=base, capacity=32 << 40)
    Tree(larger).put(("/link", Node("link", 0o120777, 0, target="a")))
    assert shown(large).keys() == shown(larger).keys()
    assert DISKS.capacity(larger) == 32 << 40
    assert max(path.stat().st_size for path in (large, larger)) < 32 << 20
