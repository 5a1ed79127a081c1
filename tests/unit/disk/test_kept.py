"""Metadata of a VHDX file that means nothing here goes along when the file is written anew, and does no harm."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, Kept, NewLayer, Progress
from ireko.disk.formats import create_layer, described, open_layer
from ireko.disk.operations import commit, compact, flatten, merge, rebase, repair, resize
from ireko.disk.operations.remake import remake
from ireko.disk.reference import reference_to
from ireko.errors import InvalidInput

from .model import MIB

METADATA = 2 * MIB
OF_FILE = Kept("00112233-4455-6677-8899-aabbccddeeff", b"of the file" * 1000)
OF_USER = Kept("00112233-4455-6677-8899-aabbccddeeff", b"", of_user=True)
OF_DISK = Kept("8899aabb-ccdd-eeff-0011-223344556677", b"of the disk", of_disk=True)
LABEL = Kept("10e1ae8a-4b7e-4169-a40f-cd70de928393", b"label", of_disk=True, is_required=True)
ALL = (OF_FILE, OF_USER, OF_DISK, LABEL)


def disk(path: Path, kept: tuple[Kept, ...], parent: Path | None = None) -> Path:
    new = NewLayer(MIB, block_size=MIB if path.suffix == ".vhdx" else 0, kept=kept)
    if parent:
        info = described(parent)
        reference = reference_to(info, path)
        new = replace(new, allocation=Allocation.DIFFERENCING, parent=reference, disk_id=info.identity.disk)
    with create_layer(path, new) as writer:
        writer.write_data(0, b"x" * 4096)
        writer.finish()
    return path


def sound(path: Path) -> tuple[Kept, ...]:
    """What a disk keeps; nothing may be wrong with it."""
    with open_layer(path) as layer:
        assert list(layer.check(Progress())) == []
        return layer.info.kept


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert sound(disk(tmp_path / "disk.vhdx", ALL)) == ALL
    assert sound(disk(tmp_path / "plain.vhdx", ())) == ()
    assert sound(disk(tmp_path / "other.qcow2", ALL)) == ()


def test_it_stays_when_a_disk_is_written_anew(tmp_path: Path) -> None:
    base, child = disk(tmp_path / "base.vhdx", ()), tmp_path / "child.vhdx"
    disk(child, ALL, base)
    other = disk(tmp_path / "other.vhdx", ())
    compact(child)
    resize(child, 2 * MIB)
    rebase(child, other)
    moved = other.rename(tmp_path / "moved.vhdx")
    repair(child, parent=moved)
    assert sound(child) == ALL
    remake(child, tmp_path / "again.vhdx")
    assert sound(tmp_path / "again.vhdx") == ALL


def test_a_merged_disk_has_what_the_specification_says(tmp_path: Path) -> None:
    """The disk's is the child's, the file's the parent's; a new child has what is of its parent's disk."""
    changed = OF_DISK._replace(data=b"changed")
    base = disk(tmp_path / "base.vhdx", (OF_FILE, OF_DISK))
    child = disk(tmp_path / "child.vhdx", (OF_USER, changed), base)
    merge(child, tmp_path / "merged.vhdx", parent=base)
    assert sound(tmp_path / "merged.vhdx") == (OF_DISK,)
    (tmp_path / "merged.vhdx").unlink()
    flatten(child, tmp_path / "flat.vhdx")
    assert sound(tmp_path / "flat.vhdx") == ()
    commit(child)
    assert sound(base) == (OF_FILE, changed)


def test_a_child_in_another_format_changes_nothing_of_it(tmp_path: Path) -> None:
    base = disk(tmp_path / "base.vhdx", ALL)
    commit(disk(tmp_path / "child.qcow2", (), base))
    assert sound(base) == ALL


@pytest.mark.parametrize(
    "kept",
    [
        tuple(Kept(f"00112233-4455-6677-8899-{number:012x}", b"x" * 300) for number in range(2048)),
        (OF_FILE._replace(data=bytes(MIB)),),
        (OF_FILE._replace(name="no UUID"),),
    ],
)
def test_there_is_an_end_to_it(tmp_path: Path, kept: tuple[Kept, ...]) -> None:
    with pytest.raises(InvalidInput):
        disk(tmp_path / "disk.vhdx", kept)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_names_one_place_very_often_costs_nothing(tmp_path: Path) -> None:
    path = disk(tmp_path / "disk.vhdx", ())
    data = bytearray(path.read_bytes())
    count = data[METADATA + 10]
    struct.pack_into("<H", data, METADATA + 10, 2000)
    for number in range(count, 2000):
        name = struct.pack("<QQ", 7, number)
        struct.pack_into("<16sIII", data, METADATA + 32 * (number + 1), name, 1 << 17, 1 << 19, 0)
    path.write_bytes(data)
    with open_layer(path) as layer:
        assert layer.info.kept == ()
        found = str(next(layer.check(Progress())))
    assert "on top of the metadata item" in found
