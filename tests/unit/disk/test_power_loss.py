"""The power fails at any moment of writing: what was not synced may be lost, each piece of it for itself."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, LayerWriter, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.errors import DiskError
from ireko.disk.files import Buffer, DiskFile
from ireko.disk.formats import format_named, open_layer
from ireko.disk.output import Output

from .model import ABSENT, DATA, MIB, ZERO, Content, assert_holds

CONTENT, DISK = "7584f8fb-36d3-4091-afb5-b1afe587bfa8", "d62318cc-56ce-42e2-898d-16e1d1c9843e"
PARENT = ParentReference((RecordedPath(PathKind.RELATIVE, r".\base.vhdx", windows=True),), (CONTENT,), "vhdx")
Operation = tuple[str, int, bytes]
SAMPLE = Content(0, ((0, 1024, DATA), (1024, MIB, ABSENT), (MIB, 2 * MIB, ZERO), (2 * MIB, 2 * MIB + 4096, DATA)))

CASES = [
    ("vhdx", NewLayer(2 * MIB + 4096, block_size=MIB)),
    ("vhdx", NewLayer(2 * MIB + 4096, Allocation.FIXED, block_size=MIB)),
    ("vhdx", NewLayer(2 * MIB + 4096, Allocation.DIFFERENCING, block_size=MIB, parent=PARENT, disk_id=DISK)),
    ("vhd", NewLayer(2 * MIB + 4096)),
    ("vhd", NewLayer(2 * MIB + 4096, Allocation.FIXED)),
    ("vhd", NewLayer(2 * MIB + 4096, Allocation.DIFFERENCING, parent=replace(PARENT, format="vhd"))),
]


class RecordedFile(DiskFile):
    """A file that remembers what was done to it, in order."""

    operations: list[Operation]

    def write(self, offset: int, data: Buffer) -> None:
        self.operations.append(("write", offset, bytes(data)))
        super().write(offset, data)

    def grow(self, length: int) -> None:
        self.operations.append(("grow", length, b""))
        super().grow(length)

    def sync(self) -> None:
        self.operations.append(("sync", 0, b""))
        super().sync()


class RecordedOutput(Output):
    """Looks at what is there at the moment when the file gets its name."""

    unsynced_at_rename: int | None = None

    def _open(self) -> DiskFile:
        file = RecordedFile(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        file.operations = []
        return file

    @property
    def operations(self) -> list[Operation]:
        assert isinstance(self.file, RecordedFile)
        return self.file.operations

    def _rename(self) -> None:
        assert not self.path.exists()
        self.unsynced_at_rename = len(since_sync(self.operations))
        super()._rename()


def since_sync(operations: list[Operation]) -> list[Operation]:
    places = [place for place, each in enumerate(operations) if each[0] == "sync"]
    return operations[places[-1] + 1 :] if places else operations


def write(folder: Path, suffix: str, new: NewLayer) -> RecordedOutput:
    output = RecordedOutput(folder / f"disk.{suffix}")
    writer: LayerWriter = format_named(suffix).create(output, new)
    SAMPLE.write(writer)
    writer.finish()
    return output


@pytest.mark.parametrize(("suffix", "new"), CASES)
def test_all_is_on_the_disk_before_the_file_has_its_name(suffix: str, new: NewLayer, tmp_path: Path) -> None:
    assert write(tmp_path, suffix, new).unsynced_at_rename == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"disk.{suffix}"]


@pytest.mark.parametrize(("suffix", "new"), [case for case in CASES if case[0] == "vhdx"])
def test_half_a_vhdx_is_no_disk_to_anyone(suffix: str, new: NewLayer, tmp_path: Path) -> None:
    """Whatever is lost of what was not synced, the file is refused or complete: the headers come last."""
    operations = write(tmp_path, suffix, new).operations
    chance = random.Random(7)
    opened = 0
    for end in range(len(operations) + 1):
        done = operations[:end]
        risky = since_sync(done)
        for _ in range(6):
            kept = done[: len(done) - len(risky)] + [each for each in risky if chance.random() < 0.7]
            opened += survives(tmp_path / "after.vhdx", kept)
    assert opened > 0


def survives(path: Path, operations: list[Operation]) -> bool:
    """Whether a file with these operations opens; then it must hold everything."""
    with path.open("wb") as file:
        for name, offset, data in operations:
            if name == "write":
                file.seek(offset)
                file.write(data)
            elif name == "grow":
                file.truncate(max(offset, path.stat().st_size))
    try:
        with open_layer(path) as layer:
            assert_holds(layer, SAMPLE, exact=layer.info.parent is not None)
            return True
    except DiskError:
        return False


@pytest.mark.parametrize(("suffix", "new"), CASES)
def test_giving_up_leaves_nothing(suffix: str, new: NewLayer, tmp_path: Path) -> None:
    writer = format_named(suffix).create(Output(tmp_path / f"disk.{suffix}"), new)
    with pytest.raises(RuntimeError), writer:
        SAMPLE.write(writer)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
