"""Disks that somebody writes to while they are read, or wrote to since they were sealed, are not taken for what they were."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ireko.disk.base import Progress
from ireko.disk.chain import chain_ids, check_chain, open_chain
from ireko.disk.errors import DiskDamaged
from ireko.disk.operations import repair, seal
from ireko.errors import Conflict

from .model import MIB
from .stacks import Stack
from .test_operations import BASE, CHILD, files, operate


def test_repair_takes_no_changed_disk_for_the_sealed_one(tmp_path: Path) -> None:
    """Its new file would have a seal that fits; a copy that only lost its times is read, and keeps it."""
    base, leaf = Stack(("qcow2", "qcow2"), (BASE, CHILD)).write(tmp_path)
    seal(base)
    sealed = seal(leaf)
    (tmp_path / "base").mkdir()
    moved = base.rename(tmp_path / "base" / base.name)
    base.with_name(f"{base.name}.seal").rename(f"{moved}.seal")
    leaf.chmod(0o600)
    sound = leaf.read_bytes()
    changed = sound.replace(CHILD.bytes_of(4096, 4608), CHILD.bytes_of(4608, 5120), 1)
    assert changed != sound
    leaf.write_bytes(changed)
    with pytest.raises(DiskDamaged, match="as when it was sealed"):
        repair(leaf, parent=moved, within=[tmp_path])
    assert leaf.read_bytes() == changed
    leaf.write_bytes(sound)
    repair(leaf, parent=moved, within=[tmp_path])
    with open_chain(leaf, within=[tmp_path]) as chain:
        assert list(check_chain(chain, Progress(), deep=True)) == []
        assert chain_ids(chain.layers, Progress())[0][1] == sealed.chain_id


class Meddling(Progress):
    """Has somebody write to a file at the second step."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        super().__init__()
        self._meddle, self._steps = meddle, 0

    def advance(self, count: int) -> None:
        self._steps += 1
        if self._steps == 2:
            self._meddle()
        super().advance(count)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def touch(path: Path) -> None:
    os.utime(path, (1, 1))  # the clock of files may stand still between two writes


@pytest.mark.parametrize("meddle", [append, lambda path: os.truncate(path, MIB), touch])
@pytest.mark.parametrize("name", ["flatten", "convert", "commit", "rebase", "compact", "resize", "repair"])
def test_what_is_written_to_meanwhile_gives_no_disk(tmp_path: Path, name: str, meddle: Callable[[Path], None]) -> None:
    Stack(("vhdx", "vhdx", "qcow2"), (BASE, CHILD, CHILD)).write(tmp_path)
    read = {"convert": "0.vhdx", "compact": "1.vhdx", "repair": "1.vhdx", "rebase": "0.vhdx"}.get(name, "2.qcow2")
    names = sorted(files(tmp_path))
    with pytest.raises((Conflict, DiskDamaged)):
        operate(tmp_path, Meddling(lambda: meddle(tmp_path / read)))[name]()
    assert sorted(files(tmp_path)) == names


@pytest.mark.parametrize("written", ["0.vhdx", "1.vhdx"])
def test_a_seal_tells_of_one_moment(tmp_path: Path, written: str) -> None:
    _, leaf = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    names = sorted(files(tmp_path))
    with pytest.raises(Conflict, match="was written to while it was read"):
        seal(leaf, progress=Meddling(lambda: touch(tmp_path / written)))
    assert sorted(files(tmp_path)) == names
