"""The chain of disks as one file tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.disk.base import NewLayer
from ireko.drivers.fake import content
from ireko.drivers.fake.content import Files, Node
from ireko.drivers.fake.disks import FakeDisks, new_layer, write_disk
from ireko.drivers.fake.filesystem import FileSystem
from ireko.drivers.fake.tree import Tree, file, folder
from ireko.errors import Damaged

CAPACITY = 1 << 20


def disk(path: Path, files: Files, *, format_name: str = "qcow2") -> Path:
    """A disk with these files, that needs no other."""
    new = new_layer(CAPACITY) if format_name == "qcow2" else NewLayer(CAPACITY)
    write_disk(path, new, content.encode(files, CAPACITY), format_name=format_name)
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return disk(tmp_path / "base.qcow2", {"/a": folder(), "/a/old": file(b"old"), "/x": file(b"x")})


@pytest.fixture
def leaf(base: Path) -> Path:
    path = base.with_name("leaf.qcow2")
    FakeDisks(lambda step: None).create(path, parent=base, capacity=CAPACITY)
    return path


@pytest.fixture
def files(leaf: Path) -> FileSystem:
    return FileSystem(Tree(leaf))


def test_reads_go_through_the_chain_and_writes_to_the_leaf(base: Path, leaf: Path, files: FileSystem) -> None:
    before = base.read_bytes()
    files.write("/a/new", b"new")
    files.write("/a/old", b", more", append=True)
    files.remove("/x")
    again = FileSystem(Tree(leaf))
    assert again.names("/") == ["a"]
    assert again.names("/a") == ["new", "old"]
    assert again.read("/a/old") == b"old, more"
    assert base.read_bytes() == before
    assert FileSystem(Tree(base)).names("/") == ["a", "x"]


def test_a_folder_is_removed_with_all_in_it_and_made_anew_empty(leaf: Path, files: FileSystem) -> None:
    files.remove("/a")
    files.make_folder("/a")
    assert FileSystem(Tree(leaf)).names("/a") == []


def test_what_changes_in_a_folder_shows_in_its_time(base: Path, leaf: Path) -> None:
    disk(base, {"/a": Node("folder", 0o40755, 5), "/a/f": Node("file", 0o100644, 5)})
    files = FileSystem(Tree(leaf))
    files.write("/a/f", b"changed")
    assert files.get("/a").mtime == 5
    files.write("/a/g", b"added")
    assert files.get("/a").mtime > 5


def test_a_leaf_that_was_renamed_is_written_to_all_the_same(leaf: Path, files: FileSystem) -> None:
    renamed = leaf.rename(leaf.with_name("renamed.qcow2"))
    files.write("/later", b"later")
    assert not leaf.exists()
    assert FileSystem(Tree(renamed)).read("/later") == b"later"


def test_another_disk_under_the_old_name_is_not_written_to(leaf: Path, files: FileSystem) -> None:
    leaf.unlink()
    FakeDisks(lambda step: None).create(leaf, parent=None, capacity=2 * CAPACITY)
    before = leaf.read_bytes()
    with pytest.raises(Damaged):
        files.write("/later", b"later")
    assert leaf.read_bytes() == before


def test_links(files: FileSystem) -> None:
    def link(path: str, target: str) -> None:
        files.put(path, Node("link", 0o120777, 0, target=target))

    link("/to-folder", "a")
    link("/a/up", "../x")
    link("/round", "round")
    link("/nowhere", "nothing/here")
    assert files.read("/to-folder/old") == b"old"
    assert files.read("/to-folder/up") == b"x"
    assert files.get("/a/up", last=False).kind == "link"
    assert files.resolve("/to-folder/../x") == "/x"
    assert not files.exists("/nowhere")
    assert files.exists("/nowhere", last=False)
    with pytest.raises(OSError, match="too many"):
        files.read("/round")
    files.remove("/to-folder")
    assert files.read("/a/old") == b"old"


def test_a_volume_is_a_disk_of_its_own(leaf: Path, files: FileSystem) -> None:
    volume = disk(leaf.with_name("volume.raw"), {}, format_name="raw")
    files.mount("/data/here", Tree(volume))
    files.write("/data/here/file", b"data")
    assert files.names("/data/here") == ["file"]
    assert FileSystem(Tree(volume)).read("/file") == b"data"
    assert [path for path, _ in files.root.items()] == ["/", "/a", "/a/old", "/data", "/data/here", "/x"]


def test_a_read_only_volume(leaf: Path, files: FileSystem) -> None:
    volume = disk(leaf.with_name("volume.raw"), {"/file": file(b"data")}, format_name="raw")
    files.mount("/data", Tree(volume, read_only=True))
    assert files.read("/data/file") == b"data"
    with pytest.raises(PermissionError):
        files.write("/data/file", b"other")


def test_errors_are_those_of_a_real_file_system(files: FileSystem) -> None:
    with pytest.raises(FileNotFoundError):
        files.write("/none/file", b"")
    with pytest.raises(NotADirectoryError):
        files.write("/x/file", b"")
    with pytest.raises(IsADirectoryError):
        files.write("/a", b"")
    with pytest.raises(FileExistsError):
        files.make_folder("/a")
    with pytest.raises(NotADirectoryError):
        files.names("/x")


def test_a_missing_parent_is_named(base: Path, leaf: Path) -> None:
    base.unlink()
    with pytest.raises(Damaged, match=r"base\.qcow2"):
        Tree(leaf)
