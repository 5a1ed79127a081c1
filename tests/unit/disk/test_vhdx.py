"""VHDX files that were written here hold what was written, and keep the specification's rules."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, Layer, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.reference import reference_to
from ireko.disk.vhdx import VhdxLayer
from ireko.errors import AlreadyThere, InvalidInput

from .model import MIB, Content, assert_holds, contents, flattened, source_file

CHUNK = 4 << 30
CONTENT, DISK = "7584f8fb-36d3-4091-afb5-b1afe587bfa8", "d62318cc-56ce-42e2-898d-16e1d1c9843e"
PARENT = ParentReference((RecordedPath(PathKind.RELATIVE, r".\base.vhdx", windows=True),), (CONTENT,), "vhdx")


def problems(layer: Layer) -> list[str]:
    return [str(each) for each in layer.check(Progress())]


@st.composite
def new_layers(draw: st.DrawFn) -> NewLayer:
    sector = draw(st.sampled_from([512, 4096]))
    block = draw(st.sampled_from([1, 2, 8, 256])) * MIB
    whole = draw(st.sampled_from([0, 1, 3, 7, CHUNK // block, 2 * CHUNK // block - 1, 9 * CHUNK // block]))
    size = whole * block + draw(st.integers(0, block // sector)) * sector or sector
    allocation = draw(st.sampled_from([Allocation.DYNAMIC, Allocation.DIFFERENCING, Allocation.DIFFERENCING]))
    return NewLayer(
        size=size,
        allocation=allocation,
        sector_size=sector,
        block_size=block,
        parent=PARENT if allocation is Allocation.DIFFERENCING else None,
        disk_id=DISK,
    )


def borders(new: NewLayer) -> list[int]:
    """Where blocks and chunks end."""
    chunk = CHUNK * new.sector_size // 512
    return [new.block_size, 2 * new.block_size, chunk, chunk - new.block_size, chunk + new.block_size, 2 * chunk]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read(data: st.DataObject) -> None:
    new = data.draw(new_layers())
    content = data.draw(contents(size=new.size, sector=new.sector_size, anchors=borders(new)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.vhdx"
        copied = data.draw(st.booleans())
        with source_file(Path(folder)) as source, create_layer(path, new) as writer:
            content.write(writer, source if copied else None)
            writer.finish()
        with open_layer(path) as layer:
            assert_holds(layer, content, exact=new.parent is not None)
            assert problems(layer) == []
            assert_parts_agree(layer, content, data)


def assert_parts_agree(layer: Layer, content: Content, data: st.DataObject) -> None:
    """A part of the extents, and of the bytes, is what the whole has there."""
    places = st.sampled_from(content.interesting()).map(lambda each: min(each, layer.info.size))
    start = max(0, data.draw(places) - data.draw(st.integers(0, 3000)))
    end = min(layer.info.size, start + data.draw(st.integers(0, 70000)))
    assert layer.read(start, end - start) == content_bytes(content, start, end)
    part = [(each.offset, each.end, each.kind, each.file_offset) for each in layer.extents(start, end)]
    place = start
    for first, last, kind, file_offset in part:
        assert first == place
        whole = next(each for each in layer.extents() if each.offset <= first < each.end)
        assert whole.kind is kind
        assert file_offset == (None if whole.file_offset is None else whole.file_offset + first - whole.offset)
        place = last
    assert end in (place, start)


def content_bytes(content: Content, start: int, end: int) -> bytes:
    first, last = start // 512 * 512, -(-end // 512) * 512
    return content.bytes_of(first, min(last, content.runs[-1][1]))[start - first : end - first]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_chain_shows_the_newest(data: st.DataObject) -> None:
    sector = data.draw(st.sampled_from([512, 4096]))
    size = data.draw(st.integers(1, 3 * MIB // sector)) * sector
    layers = [
        data.draw(contents(size=size, sector=sector, anchors=[MIB], seed=each, longest=40000 // sector * sector))
        for each in range(3)
    ]
    with TemporaryDirectory() as name:
        paths = [Path(name) / f"{number}.vhdx" for number in range(3)]
        write_chain(paths, layers, sector)
        opened = [open_layer(path) for path in reversed(paths)]
        for place in {each // 512 * 512 for content in layers for each in content.interesting()}:
            start, end = max(0, place - 1024), min(size, place + 1024)
            assert flattened(opened, start, end) == shown(layers, start, end)
        for each in opened:
            each.close()


def write_chain(paths: list[Path], layers: list[Content], sector: int) -> None:
    size = layers[0].runs[-1][1]
    new = NewLayer(size, sector_size=sector, block_size=MIB, disk_id=DISK)
    for number, content in enumerate(layers):
        if number:
            with open_layer(paths[number - 1]) as parent:
                reference = reference_to(parent.info, paths[number])
            new = NewLayer(size, Allocation.DIFFERENCING, sector, block_size=MIB, parent=reference, disk_id=DISK)
        with create_layer(paths[number], new) as writer:
            content.write(writer)
            writer.finish()


def shown(layers: list[Content], start: int, end: int) -> bytes:
    """What a chain shows, base first, by laying each layer over the ones before."""
    result = bytearray(end - start)
    for content in layers:
        for first, last, kind in content.cut(start, end):
            if kind.value != "absent":
                result[first - start : last - start] = content.bytes_of(first, last)
    return bytes(result)


def test_a_fixed_disk_has_all_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    with create_layer(path, NewLayer(5 * MIB, Allocation.FIXED, block_size=2 * MIB)) as writer:
        writer.write_data(3 * MIB, b"x" * 512)
        writer.finish()
    with open_layer(path) as layer:
        assert layer.info.allocation is Allocation.FIXED
        assert [(each.offset, each.length) for each in layer.extents()] == [(0, 5 * MIB)]
        assert layer.read(3 * MIB - 1, 514) == b"\0" + b"x" * 512 + b"\0"
        assert problems(layer) == []
    assert path.stat().st_size == 4 * MIB + 6 * MIB


def test_identities_and_parents_are_kept(tmp_path: Path) -> None:
    base, child = tmp_path / "images" / "base.vhdx", tmp_path / "containers" / "child.vhdx"
    for path in (base, child):
        path.parent.mkdir()
    with create_layer(base, NewLayer(MIB, content_id=CONTENT, disk_id=DISK)) as writer:
        writer.finish()
    with open_layer(base) as parent:
        reference = reference_to(parent.info, child)
    with create_layer(child, NewLayer(MIB, Allocation.DIFFERENCING, parent=reference, disk_id=DISK)) as writer:
        writer.finish()
    with open_layer(child) as layer:
        assert isinstance(layer, VhdxLayer)
        assert layer.info.identity.disk == DISK
        assert layer.info.parent is not None
        assert layer.info.parent.identities == (CONTENT,)
        assert layer.info.parent.paths[0].text == r"..\images\base.vhdx"
        assert list(layer.locator) == ["parent_linkage", "relative_path", "parent_linkage2"]
        assert layer.locator["parent_linkage"] == f"{{{CONTENT}}}"
        assert layer.locator["parent_linkage2"] == f"{{{UUID(int=0)}}}"
    with open_layer(base) as layer:
        assert (layer.info.identity.content, layer.info.identity.disk) == (CONTENT, DISK)


def test_the_defaults_are_those_of_windows(tmp_path: Path) -> None:
    new = NewLayer(1 << 40, disk_id=DISK)
    with create_layer(tmp_path / "base.vhdx", new) as writer:
        writer.finish()
    with create_layer(
        tmp_path / "child.vhdx", NewLayer(1 << 40, Allocation.DIFFERENCING, parent=PARENT, disk_id=DISK)
    ) as writer:
        writer.finish()
    with open_layer(tmp_path / "base.vhdx") as base, open_layer(tmp_path / "child.vhdx") as child:
        assert (base.info.block_size, child.info.block_size) == (32 * MIB, 2 * MIB)
        assert (base.info.sector_size, base.info.physical_sector_size) == (512, 4096)


@pytest.mark.parametrize(
    "new",
    [
        NewLayer(0),
        NewLayer(1000),
        NewLayer((64 << 40) + 512),
        NewLayer(MIB, sector_size=520),
        NewLayer(MIB, block_size=3 * MIB),
        NewLayer(MIB, block_size=512 * MIB),
        NewLayer(MIB, Allocation.DIFFERENCING, disk_id=DISK),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=PARENT),
        NewLayer(MIB, parent=PARENT, disk_id=DISK),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=ParentReference(PARENT.paths), disk_id=DISK),
        NewLayer(MIB, content_id="nonsense"),
    ],
)
def test_what_vhdx_can_not_hold_is_refused(tmp_path: Path, new: NewLayer) -> None:
    with pytest.raises(InvalidInput):
        create_layer(tmp_path / "disk.vhdx", new)
    assert list(tmp_path.iterdir()) == []


def test_content_out_of_order_is_a_mistake(tmp_path: Path) -> None:
    with create_layer(tmp_path / "disk.vhdx", NewLayer(MIB)) as writer:
        writer.write_data(4096, bytes(512))
        for offset, length in ((0, 512), (4096, 512), (5000, 512), (8192, 100), (MIB, 512)):
            with pytest.raises(ValueError, match="bytes at"):
                writer.write_data(offset, bytes(length))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    writer = create_layer(path, NewLayer(MIB))
    path.write_bytes(b"precious")
    with pytest.raises(AlreadyThere), writer:
        writer.finish()
    with pytest.raises(AlreadyThere):
        create_layer(path, NewLayer(MIB))
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_zeros_over_many_chunks_come_behind_a_bitmap(tmp_path: Path) -> None:
    """A run of whole blocks begins in a chunk whose bitmap is not written yet, and whose entry lies on the table's next page."""
    size = 3 * CHUNK
    with create_layer(
        tmp_path / "disk.vhdx", NewLayer(size, Allocation.DIFFERENCING, block_size=MIB, parent=PARENT, disk_id=DISK)
    ) as writer:
        writer.write_data(512, b"x" * 512)
        writer.write_zero(CHUNK + MIB, size - CHUNK - MIB - 512)
        writer.finish()
    with open_layer(tmp_path / "disk.vhdx") as layer:
        assert problems(layer) == []
        found = [(each.offset, each.end, each.kind.value) for each in layer.extents()]
    ends = [0, 512, 1024, CHUNK + MIB, size - MIB, size - 512, size]
    kinds = ["absent", "data", "absent", "zero", "data", "absent"]
    assert found == [(a, b, kind) for (a, b), kind in zip(itertools.pairwise(ends), kinds, strict=True)]
