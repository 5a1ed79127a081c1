"""Copies between files: whole, in any order, and with their errors told."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from ireko.disk import copying
from ireko.disk.base import NewLayer
from ireko.disk.copying import CopyQueue, copy_range
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations import flatten
from ireko.errors import IrekoError

MIB = 1 << 20


def files(folder: Path, length: int) -> tuple[DiskFile, DiskFile, bytes]:
    content = os.urandom(length)
    (folder / "source").write_bytes(content)
    return DiskFile(folder / "source"), DiskFile(folder / "target", os.O_RDWR | os.O_CREAT), content


@pytest.mark.parametrize("piece", [700, 70_000, 9 * MIB])
def test_a_queue_copies_everything(tmp_path: Path, piece: int) -> None:
    source, target, content = files(tmp_path, min(20 * MIB, piece * 900))
    CopyQueue(target)
    with source, target:
        for place in range(0, len(content), piece):
            copy_range(source, place, target, place, min(piece, len(content) - place))
        target.sync()
    assert (tmp_path / "target").read_bytes() == content


def test_a_source_that_is_closed_is_copied_before(tmp_path: Path) -> None:
    source, target, content = files(tmp_path, 6 * MIB)
    CopyQueue(target)
    copy_range(source, 0, target, 0, 5 * MIB)
    copy_range(source, 5 * MIB, target, 5 * MIB, MIB)
    source.close()
    target.sync()
    assert target.read(0, 6 * MIB) == content
    target.close()
    assert not target.copies or not source.copies


@pytest.mark.parametrize("length", [MIB, 6 * MIB])
def test_a_failure_is_told_at_the_latest_in_the_end(tmp_path: Path, length: int) -> None:
    """At once when much is copied; and whoever makes nothing of that is told again."""
    source, writable, _ = files(tmp_path, 6 * MIB)
    writable.close()
    target = DiskFile(tmp_path / "target")  # it can't be written to
    CopyQueue(target)
    with source, target:
        with contextlib.suppress(IrekoError):
            copy_range(source, 0, target, 0, length)
        for _ in range(2):
            with pytest.raises(IrekoError, match="target"):
                target.sync()


def test_a_failure_while_the_source_is_closed_is_kept(tmp_path: Path) -> None:
    source, writable, _ = files(tmp_path, MIB)
    writable.close()
    target = DiskFile(tmp_path / "target")
    CopyQueue(target)
    with target:
        copy_range(source, 0, target, 0, MIB)
        source.close()
        with pytest.raises(IrekoError, match="target"):
            target.sync()


def test_a_target_that_is_given_up_is_closed_at_once(tmp_path: Path) -> None:
    source, target, _ = files(tmp_path, 20 * MIB)
    CopyQueue(target)
    for place in range(0, 20 * MIB, MIB):
        copy_range(source, place, target, place, MIB)
    target.close()
    source.close()
    assert not source.copies


def test_copies_that_continue_each_other_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, content = files(tmp_path, 5 * MIB)
    seen: list[int] = []
    copy = copying._copy_data
    monkeypatch.setattr(copying, "_copy_data", lambda *each: (seen.append(each[-1]), copy(*each)))
    CopyQueue(target)
    with source, target:
        for place in range(0, 2 * MIB, MIB):
            copy_range(source, place, target, place, MIB)
        copy_range(source, 2 * MIB, target, 3 * MIB, MIB)
        copy_range(source, 4 * MIB, target, 4 * MIB, MIB)
        target.sync()
    assert seen == [2 * MIB, MIB, MIB]
    assert (tmp_path / "target").read_bytes() == content[: 2 * MIB] + bytes(MIB) + content[2 * MIB : 3 * MIB] + content[
        4 * MIB :
    ]


@pytest.mark.parametrize("suffix", ["raw", "qcow2", "vhdx"])
def test_holes_of_a_raw_disk_stay_holes(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "source.raw", tmp_path / f"target.{suffix}"
    with create_layer(source, NewLayer(64 * MIB)) as writer:
        writer.write_data(5 * MIB, b"x" * 4096)
        writer.write_data(40 * MIB, b"y" * 4096)
        writer.finish()
    flatten(source, target)
    with open_layer(target) as layer, open_layer(source) as wanted:
        assert layer.read(0, 64 * MIB) == wanted.read(0, 64 * MIB)
        assert [each.length for each in wanted.allocated(MIB, 9 * MIB)] == [8 * MIB]
        assert list(wanted.allocated(MIB, MIB)) == []
    if sys.platform != "win32":
        assert target.stat().st_blocks * 512 < 4 * MIB
