"""Disks that Windows made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.transfer import transfer
from ireko.disk.vhdx import VhdxLayer
from ireko.disk.view import View

from .model import MIB, flattened

BASES = ["ntfs-parent.vhdx", "ntfs-parent.vhd", "iotest-dynamic-1G.vhdx"]
CHILDREN = ["ntfs-differential.vhdx", "ntfs-differential.vhd"]


@pytest.mark.parametrize("name", BASES + CHILDREN)
def test_nothing_is_wrong_with_them(corpus: Path, name: str) -> None:
    with open_layer(corpus / name) as layer:
        assert list(layer.check(Progress())) == []
        assert not layer.info.dirty


def test_a_dynamic_disk_of_server_2012(corpus: Path) -> None:
    with open_layer(corpus / "iotest-dynamic-1G.vhdx") as layer:
        assert (layer.info.allocation, layer.info.size, layer.info.block_size) == (
            Allocation.DYNAMIC,
            1 << 30,
            32 * MIB,
        )
        assert layer.read(33 * MIB - 2, 4) == b"\xa5\xa5\x96\x96"
        assert layer.read(66 * MIB - 2, 4) == b"\x96\x96\0\0"
        assert [(each.length, each.kind.value) for each in layer.extents()] == [(96 * MIB, "data"), (928 * MIB, "zero")]


@pytest.mark.parametrize("suffix", ["vhdx", "vhd"])
def test_a_child_names_its_parent(corpus: Path, suffix: str) -> None:
    with (
        open_layer(corpus / f"ntfs-differential.{suffix}") as child,
        open_layer(corpus / f"ntfs-parent.{suffix}") as parent,
    ):
        assert child.info.parent is not None
        assert child.info.parent.identities == (parent.info.identity.content,)
        assert child.info.identity.disk == parent.info.identity.disk
        assert child.info.parent.paths[0].text == rf".\ntfs-parent.{suffix}"
        assert child.info.parent.paths[-1].text == rf"C:\Projects\dfvfs\test_data\ntfs-parent.{suffix}"
        assert child.info.parent.paths[0].pure().name == f"ntfs-parent.{suffix}"


def test_both_formats_hold_an_ntfs_volume_and_its_change(corpus: Path) -> None:
    for suffix in ("vhdx", "vhd"):
        with (
            open_layer(corpus / f"ntfs-differential.{suffix}") as child,
            open_layer(corpus / f"ntfs-parent.{suffix}") as parent,
        ):
            whole = flattened([child, parent], 0, child.info.size)
            assert whole[510:512] == b"\x55\xaa"
            volume = whole[int.from_bytes(whole[454:458], "little") * 512 :]
            assert volume[3:11] == b"NTFS    "
            assert whole != parent.read(0, parent.info.size)


def test_our_child_has_the_locator_that_windows_writes(corpus: Path, tmp_path: Path) -> None:
    """The same entries make the same bytes: key order, braces, case and the second linkage of zeros."""
    with open_layer(corpus / "ntfs-differential.vhdx") as theirs:
        assert isinstance(theirs, VhdxLayer)
        new = NewLayer(
            theirs.info.size, Allocation.DIFFERENCING, parent=theirs.info.parent, disk_id=theirs.info.identity.disk
        )
        with create_layer(tmp_path / "ours.vhdx", new) as writer:
            writer.finish()
        with open_layer(tmp_path / "ours.vhdx") as ours:
            assert isinstance(ours, VhdxLayer)
            assert list(ours.locator.items()) == list(theirs.locator.items())
    assert metadata_items(tmp_path / "ours.vhdx") == metadata_items(corpus / "ntfs-differential.vhdx")


def test_our_vhd_child_is_the_file_that_windows_makes(corpus: Path, tmp_path: Path) -> None:
    """Given the same facts and content it is the same file, but for the time at which it was made."""
    path = tmp_path / "ours.vhd"
    with open_layer(corpus / "ntfs-differential.vhd") as theirs:
        new = NewLayer(
            theirs.info.size,
            Allocation.DIFFERENCING,
            parent=theirs.info.parent,
            content_id=theirs.info.identity.content,
        )
        with create_layer(path, new) as writer:
            transfer(View([theirs]), writer, Progress())
            writer.finish()
    ours, expected = bytearray(path.read_bytes()), bytearray((corpus / "ntfs-differential.vhd").read_bytes())
    assert len(ours) == len(expected)
    for data in (ours, expected):
        for footer in (0, len(data) - 512):
            data[footer + 24 : footer + 28] = data[footer + 64 : footer + 68] = bytes(4)  # time and checksum
    places = [place for place in range(0, len(ours), 512) if ours[place : place + 512] != expected[place : place + 512]]
    assert places == []
    with open_layer(path) as layer, open_layer(corpus / "ntfs-differential.vhd") as theirs:
        assert list(layer.extents()) == list(theirs.extents())


def metadata_items(path: Path) -> tuple[bytes, bytes]:
    """The table's entries and the items' bytes; the metadata region begins at 2 MiB with Windows and with us."""
    with path.open("rb") as file:
        file.seek(2 * MIB)
        data = file.read(MIB)
    count = data[10]
    return data[: 32 + 32 * count], data[65536:]
