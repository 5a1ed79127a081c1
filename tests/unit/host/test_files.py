"""Whole files and locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.errors import Conflict
from ireko.host.files import Lock, disk_bytes, remove_tree, write_whole


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
