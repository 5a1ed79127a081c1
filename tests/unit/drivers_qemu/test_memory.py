"""What was tried is not tried again on the same host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from ireko.drivers.qemu.memory import Memory


@dataclass(frozen=True)
class Found:
    name: str
    reason: str = ""


class Search:
    """Finds, and counts how often it had to."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.count = 0

    async def __call__(self) -> Found:
        self.count += 1
        return self.found


async def test_it_is_tried_once_for_each_host(tmp_path: Path) -> None:
    search = Search(Found("kvm", "it works"))
    for _ in range(2):
        assert await Memory(tmp_path / "found.json", Found).recall("here", search) == search.found
    assert search.count == 1
    await Memory(tmp_path / "found.json", Found).recall("elsewhere", search)
    assert search.count == 2


@pytest.mark.parametrize(
    "content",
    [b"", b'{"host": "here"', b'{"host": "here"}', b'{"host": "here", "answer": {"name": 1}}'],
    ids=["empty", "torn", "no answer", "something else"],
)
async def test_what_makes_no_sense_is_tried_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "found.json").write_bytes(content)
    search = Search(Found("tcg"))
    assert await Memory(tmp_path / "found.json", Found).recall("here", search) == search.found
    assert search.count == 1


async def test_what_can_t_be_written_is_tried_each_time(tmp_path: Path) -> None:
    search = Search(Found("tcg"))
    for _ in range(2):
        assert await Memory(tmp_path / "missing" / "found.json", Found).recall("here", search) == search.found
    assert search.count == 2
