"""The beginning of a file can go while somebody appends to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.host import holes
from ireko.host.files import disk_bytes

BLOCK = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if not holes.can_release(tmp_path):
        pytest.skip("this file system can't give back room")
    return tmp_path / "log"


@pytest.mark.parametrize("end", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, 10 * BLOCK])
def test_what_is_left_keeps_its_place(path: Path, end: int) -> None:
    content = bytes(range(1, 241)) * 171  # ten blocks and a bit
    path.write_bytes(content)
    for _ in range(2):
        holes.release(path, end)
        assert path.read_bytes()[end:] == content[end:]
        assert holes.first_data(path) == end // BLOCK * BLOCK
    assert disk_bytes(path) <= (11 - end // BLOCK) * BLOCK


def test_who_appends_need_not_know(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(b"a" * BLOCK)
        holes.release(path, BLOCK)
        file.write(b"b")
    assert path.read_bytes() == bytes(BLOCK) + b"b"
    assert holes.first_data(path) == BLOCK


def test_a_file_of_which_all_is_gone(path: Path) -> None:
    path.write_bytes(b"a" * BLOCK)
    holes.release(path, BLOCK)
    assert (holes.first_data(path), disk_bytes(path)) == (BLOCK, 0)
    path.write_bytes(b"")
    assert holes.first_data(path) == 0


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        holes.release(path, BLOCK)
    with pytest.raises(FileNotFoundError):
        holes.first_data(path)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        holes.can_release(tmp_path / "missing")
