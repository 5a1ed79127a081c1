"""Whole files and locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.errors import Conflict
from ireko.host.files import Files, Lock, disk_bytes, remove_tree, write_whole


def test_write_whole_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "名前"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    one, other = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    one.take()
    with pytest.raises(Conflict):
        other.take()
    one.release()
    other.take()
    other.release()


def test_remove_tree_takes_read_only_files_and_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "c").write_bytes(b"x")
    (folder / "b" / "c").chmod(0o400)
    remove_tree(folder)
    remove_tree(folder)
    assert not folder.exists()


def test_disk_bytes_counts_what_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert disk_bytes(path) < 1 << 20
    assert disk_bytes(tmp_path / "none") == 0


def test_remove_tree_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept", target_is_directory=True)
    (tmp_path / "itself").symlink_to(tmp_path / "kept", target_is_directory=True)
    for folder in tmp_path / "gone", tmp_path / "itself":
        remove_tree(folder)
        assert not folder.is_symlink()
        assert not folder.exists()
    assert (tmp_path / "kept" / "file").read_bytes() == b"x"


def test_each_change_is_told_of_before_it_is_made(tmp_path: Path) -> None:
    steps: list[str] = []
    files = Files(steps.append)
    files.make_folder(tmp_path / "a")
    files.write(tmp_path / "a" / "b", b"x")
    files.move(tmp_path / "a" / "b", tmp_path / "a" / "c")
    files.set_mode(tmp_path / "a" / "c", 0o400)
    assert files.set_aside(tmp_path / "a", tmp_path / "d")
    assert not files.set_aside(tmp_path / "a", tmp_path / "e")
    files.remove_tree(tmp_path / "d")
    assert steps == [
        "make a/", "write b", "move b to a/c", "set the mode of c", "set a aside", "set a aside", "remove c", "remove d/",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_what_a_step_raises_stops_there(tmp_path: Path) -> None:
    def stop(step: str) -> None:
        raise RuntimeError(step)

    with pytest.raises(RuntimeError, match="make a/"):
        Files(stop).make_folder(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
