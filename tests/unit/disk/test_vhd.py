"""VHD files that were written here hold what was written; differencing ones are read."""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, ExtentKind, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.vhd.structures import DynamicHeader, Footer, Locator, geometry
from ireko.errors import InvalidInput

from .model import MIB, assert_holds, contents, source_file

UNIQUE = "7584f8fb-36d3-4091-afb5-b1afe587bfa8"


def reference(identity: str, path: str, name: str = "vhd") -> ParentReference:
    """A parent in the child's folder."""
    paths = (RecordedPath(PathKind.RELATIVE, path, windows=True),) if path else ()
    return ParentReference(paths, (identity,) if identity else (), name)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_written_is_read(data: st.DataObject) -> None:
    block = data.draw(st.sampled_from([4096, 65536, 2 * MIB]))
    size = data.draw(st.integers(1, 5 * MIB // 512)) * 512
    allocation = data.draw(st.sampled_from([Allocation.FIXED, Allocation.DYNAMIC]))
    content = data.draw(contents(size=size, sector=512, anchors=[block, 2 * block]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.vhd"
        copied = data.draw(st.booleans())
        with (
            source_file(Path(folder)) as source,
            create_layer(path, NewLayer(size, allocation, block_size=block)) as writer,
        ):
            content.write(writer, source if copied else None)
            writer.finish()
        with open_layer(path) as layer:
            assert layer.info.allocation is allocation
            assert_holds(layer, content, exact=False)
            assert list(layer.check(Progress())) == []


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_written_of_a_child_is_read(data: st.DataObject) -> None:
    """Sector by sector: zeros hide the parent, and what is absent doesn't."""
    block = data.draw(st.sampled_from([4096, 65536, 2 * MIB]))
    size = data.draw(st.integers(1, 5 * MIB // 512)) * 512
    content = data.draw(contents(size=size, sector=512, anchors=[block, 2 * block]))
    new = NewLayer(size, Allocation.DIFFERENCING, block_size=block, parent=reference(UNIQUE, r".\base.vhd"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.vhd"
        copied = data.draw(st.booleans())
        with source_file(Path(folder)) as source, create_layer(path, new) as writer:
            content.write(writer, source if copied else None)
            writer.finish()
        with open_layer(path) as layer:
            assert layer.info.parent == new.parent
            assert list(layer.check(Progress())) == []
            for start, end, kind in content.runs:
                for extent in layer.extents(start, end):
                    assert (extent.kind is ExtentKind.ABSENT) is (kind is ExtentKind.ABSENT)
            assert layer.read(0, size) == content.bytes_of(0, size)


def test_a_child_on_a_windows_disk_is_recorded_as_windows_does(tmp_path: Path) -> None:
    """Both paths, each where Windows has it, and the whole one in the header too."""
    path = tmp_path / "child.vhd"
    paths = (
        RecordedPath(PathKind.RELATIVE, "..\\bases\\base.vhd", windows=True),
        RecordedPath(PathKind.ABSOLUTE, "D:\\bases\\base.vhd", windows=True),
    )
    new = NewLayer(4 * MIB, Allocation.DIFFERENCING, parent=ParentReference(paths, (UNIQUE,), "vhd"))
    with create_layer(path, new) as writer:
        writer.write_data(3 * MIB, b"x" * 512)
        writer.finish()
    data = path.read_bytes()
    header = DynamicHeader.unpack(data[512:1536])
    assert header.parent_name == "D:\\bases\\base.vhd"
    assert header.locators == (Locator(b"W2ku", 34, 4096, 4096), Locator(b"W2ru", 34, 12288, 65536))
    with open_layer(path) as layer:
        assert layer.info.parent is not None
        assert layer.info.parent.paths == paths


def test_a_fixed_disk_is_its_content_and_a_footer(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    with create_layer(path, NewLayer(MIB, Allocation.FIXED, content_id=UNIQUE)) as writer:
        writer.write_data(512, b"x" * 512)
        writer.finish()
    data = path.read_bytes()
    assert data[:MIB] == bytes(512) + b"x" * 512 + bytes(MIB - 1024)
    assert len(data) == MIB + 512
    with open_layer(path) as layer:
        assert layer.info.identity.content == UNIQUE


def test_a_dynamic_disk_is_as_large_as_its_data(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    with create_layer(path, NewLayer(1 << 40)) as writer:
        writer.write_data((1 << 40) - 512, b"x" * 512)
        writer.finish()
    assert path.stat().st_size < 6 * MIB
    with open_layer(path) as layer:
        assert layer.read((1 << 40) - 512, 512) == b"x" * 512
        data = [each for each in layer.extents() if each.kind is ExtentKind.DATA]
        assert [each.file_offset is not None and each.file_offset % 4096 for each in data[:1]] == [0]


def differencing(path: Path, bits: bytes) -> None:
    """A differencing disk of two blocks of 4 KiB, of which the first has some sectors, laid out by hand."""
    with create_layer(path, NewLayer(8192, block_size=4096)) as writer:
        writer.write_data(0, b"".join(bytes([number]) * 512 for number in range(1, 9)))
        writer.finish()
    data = bytearray(path.read_bytes())
    block = struct.unpack_from(">I", data, 2048)[0] * 512
    data[block : block + len(bits)] = bits
    name, relative = "base.vhd".encode("utf-16-be"), r".\base.vhd".encode("utf-16-le")
    data[512 + 40 : 512 + 56] = bytes(range(16))
    data[512 + 64 : 512 + 64 + len(name)] = name
    data[512 + 576 : 512 + 600] = struct.pack(">4sIIIQ", b"W2ru", 512, len(relative), 0, len(data) - 512)
    footer = bytearray(data[-512:])
    footer[60:64] = struct.pack(">I", 4)
    data[-512:] = relative.ljust(512, b"\0") + seal(footer, 64)
    data[0:512] = seal(footer, 64)
    data[512:1536] = seal(data[512:1536], 36)
    path.write_bytes(data)


def seal(data: bytearray, place: int) -> bytes:
    data[place : place + 4] = bytes(4)
    data[place : place + 4] = struct.pack(">I", ~sum(data) & 0xFFFFFFFF)
    return bytes(data)


@given(st.integers(0, 255))
@settings(max_examples=20, deadline=None)
def test_a_bit_says_whether_a_sector_is_here(bits: int) -> None:
    """The highest bit is the first sector's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "child.vhd"
        differencing(path, bytes([bits]))
        with open_layer(path) as layer:
            for sector in range(16):
                extent = next(layer.extents(sector * 512, sector * 512 + 512))
                here = sector < 8 and bool(bits >> (7 - sector) & 1)
                assert extent.kind is (ExtentKind.DATA if here else ExtentKind.ABSENT)
                assert layer.read(sector * 512, 512) == bytes([sector + 1 if here else 0]) * 512


def test_a_child_names_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "child.vhd"
    differencing(path, b"\xff")
    with open_layer(path) as layer:
        assert layer.info.parent is not None
        assert layer.info.allocation is Allocation.DIFFERENCING
        assert layer.info.parent.identities == ("00010203-0405-0607-0809-0a0b0c0d0e0f",)
        assert layer.info.parent.paths == (RecordedPath(PathKind.RELATIVE, r".\base.vhd", windows=True),)
        assert list(layer.check(Progress())) == []


def test_the_copy_of_the_footer_stands_in_for_it(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    with create_layer(path, NewLayer(MIB)) as writer:
        writer.write_data(0, b"x" * 512)
        writer.finish()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with open_layer(path) as layer:
        assert layer.read(0, 512) == b"x" * 512
        assert [each.structure for each in layer.check(Progress())] == ["the footer"]
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(DiskDamaged, match=r"the footer at offset \d+ is at odds with its checksum"):
        open_layer(path)


@pytest.mark.parametrize("length", [8, 67, 68, 84, 85, 511])
def test_a_file_that_ends_within_a_footer_is_no_disk(tmp_path: Path, length: int) -> None:
    """Whatever its checksum says."""
    path = tmp_path / "disk.vhd"
    data = bytearray(b"conectix".ljust(length, b"\0"))
    path.write_bytes(seal(data, 64) if length >= 68 else data)
    with pytest.raises(DiskDamaged, match="cut off after"):
        open_layer(path)


def test_other_types_and_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    with create_layer(path, NewLayer(MIB, Allocation.FIXED)) as writer:
        writer.finish()
    data = bytearray(path.read_bytes())
    footer = Footer.unpack(bytes(data[-512:]))
    assert footer.current_size == MIB
    for place, value, what in ((60, 5, "disk type"), (12, 0x20000, "version")):
        changed = bytearray(data[-512:])
        changed[place : place + 4] = struct.pack(">I", value)
        path.write_bytes(bytes(data[:-512]) + seal(changed, 64))
        with pytest.raises(DiskUnsupported, match=what):
            open_layer(path)


def test_a_guest_can_not_turn_a_fixed_disk_into_another_format(tmp_path: Path) -> None:
    """Its first bytes are the guest's."""
    path = tmp_path / "disk.vhd"
    with create_layer(path, NewLayer(MIB, Allocation.FIXED)) as writer:
        writer.write_data(0, b"vhdxfile".ljust(512, b"\0"))
        writer.finish()
    with open_layer(path) as layer:
        assert layer.info.format == "vhd"


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (4 * MIB, (120, 4, 17)),
        (10 << 30, (20805, 16, 63)),
        (200 << 30, (65535, 16, 255)),
        (2040 << 30, (65535, 16, 255)),
    ],
)
def test_the_geometry_is_that_of_the_specification(size: int, wanted: tuple[int, int, int]) -> None:
    assert geometry(size) == wanted


@pytest.mark.parametrize(
    "new",
    [
        NewLayer(0),
        NewLayer(1000),
        NewLayer(MIB, sector_size=4096),
        NewLayer((2040 << 30) + 512),
        NewLayer(MIB, block_size=5000),
        NewLayer(2040 << 30, block_size=1 << 18),
        NewLayer(2040 << 30, block_size=1 << 19),  # with all blocks the last would lie behind what the BAT can name
        NewLayer(MIB, Allocation.DIFFERENCING),
        NewLayer(MIB, Allocation.DYNAMIC, parent=reference(UNIQUE, ".\\base.vhd")),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=reference("", ".\\base.vhd")),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=reference(UNIQUE, "")),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=reference(UNIQUE, ".\\" + "x" * 40000)),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=reference("not one", ".\\base.vhd")),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=reference(UNIQUE, ".\\base.vhdx", name="vhdx")),
    ],
)
def test_what_vhd_can_not_hold_is_refused(tmp_path: Path, new: NewLayer) -> None:
    with pytest.raises(InvalidInput):
        create_layer(tmp_path / "disk.vhd", new)
    assert list(tmp_path.iterdir()) == []
