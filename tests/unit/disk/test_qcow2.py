"""qcow2 and raw files that were written here hold what was written; QEMU reads them, and we read QEMU's."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, ExtentKind, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.qcow2 import create, inspect, is_untouched
from ireko.errors import InvalidInput, IrekoError, Unsupported

from .model import MIB, Content, assert_holds, contents, pattern, source_file
from .stacks import Stack, stacks
from .test_power_loss import since_sync, survives
from .test_power_loss import write as write_recorded

BASE = ParentReference((RecordedPath(PathKind.RELATIVE, "base.raw"),), format="raw")
BORDERS = [16 << 10, 64 << 10, MIB, 16 * MIB, 32 * MIB]


@st.composite
def new_layers(draw: st.DrawFn) -> NewLayer:
    size = draw(st.integers(1, 40 * 2048)) * 512
    if draw(st.booleans()):
        return NewLayer(size, Allocation.DIFFERENCING, parent=BASE)
    return NewLayer(size, block_size=draw(st.sampled_from([0, 512, 4096, 1 << 16, 2 * MIB])))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read(data: st.DataObject) -> None:
    new = data.draw(new_layers())
    content = data.draw(contents(size=new.size, sector=512, anchors=[*BORDERS, new.block_size]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.qcow2"
        copied = data.draw(st.booleans())
        with source_file(Path(folder)) as source, create_layer(path, new) as writer:
            content.write(writer, source if copied else None)
            writer.finish()
        with open_layer(path) as layer:
            assert_holds(layer, content, exact=new.parent is not None)
            assert list(layer.check(Progress())) == []


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_raw_shows_what_is_written(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 6000)) * 512
    content = data.draw(contents(size=size, sector=512, anchors=[4096, MIB]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.raw"
        with create_layer(path, NewLayer(size)) as writer:
            content.write(writer)
            writer.finish()
        assert path.read_bytes() == content.bytes_of(0, size)
        with open_layer(path) as layer:
            assert layer.read(0, size) == content.bytes_of(0, size)
            assert layer.info.size == size


def test_a_raw_disk_has_whole_sectors_and_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(4 * MIB)
        file.seek(3 * MIB)
        file.write(b"x" * 700)
        file.truncate(4 * MIB + 100)
    with open_layer(path) as layer:
        assert layer.info.size == 4 * MIB + 512
        found = list(layer.extents())
        assert found[0].kind is ExtentKind.ABSENT
        assert layer.read(3 * MIB, 1024) == b"x" * 700 + bytes(324)
        assert layer.read(4 * MIB, 512) == bytes(512)


def qemu(*command: str | Path) -> str:
    return subprocess.run(
        [str(each) for each in command], check=True, capture_output=True, timeout=120, text=True
    ).stdout


@pytest.mark.parametrize("cluster", [0, 512, 4096, 2 * MIB])
def test_qemu_reads_ours(qemu_img: str, cluster: int) -> None:
    size = 5 * MIB + 1024

    @settings(max_examples=6, deadline=None)
    @given(contents(size=size, sector=512, anchors=[MIB, 2 * MIB, 1 << 16]))
    def check(content: Content) -> None:
        with TemporaryDirectory() as folder:
            path, raw = Path(folder) / "disk.qcow2", Path(folder) / "disk.raw"
            with create_layer(path, NewLayer(size, block_size=cluster)) as writer:
                content.write(writer)
                writer.finish()
            qemu(qemu_img, "check", "-f", "qcow2", path)
            qemu(qemu_img, "convert", "-f", "qcow2", "-O", "raw", path, raw)
            assert raw.read_bytes() == content.bytes_of(0, size)

    check()


def test_qemu_reads_our_overlays(qemu_img: str) -> None:
    size = 20 * MIB + 512
    below = pattern(9, 0, size)

    @settings(max_examples=8, deadline=None)
    @given(contents(size=size, sector=512, anchors=BORDERS))
    def check(content: Content) -> None:
        with TemporaryDirectory() as folder:
            path, raw = Path(folder) / "disk.qcow2", Path(folder) / "disk.raw"
            (Path(folder) / "base.raw").write_bytes(below)
            with create_layer(path, NewLayer(size, Allocation.DIFFERENCING, parent=BASE)) as writer:
                content.write(writer)
                writer.finish()
            qemu(qemu_img, "check", "-f", "qcow2", path)
            qemu(qemu_img, "convert", "-f", "qcow2", "-O", "raw", path, raw)
            expected = bytearray(below)
            for first, last, kind in content.runs:
                if kind is not ExtentKind.ABSENT:
                    expected[first:last] = content.bytes_of(first, last)
            assert raw.read_bytes() == expected

    check()


@pytest.mark.parametrize(
    "options",
    [
        "compat=0.10",
        "compat=1.1,cluster_size=512",
        "compat=1.1,extended_l2=on",
        "compat=1.1,extended_l2=on,cluster_size=16k",
        "compat=1.1,refcount_bits=1",
        "compat=1.1,refcount_bits=64,cluster_size=2M",
    ],
)
@pytest.mark.parametrize("compressed", ["", "-c"])
def test_we_read_those_of_qemu(qemu_img: str, tmp_path: Path, options: str, compressed: str) -> None:
    expected = convert_by_qemu(qemu_img, tmp_path, options, compressed)
    with open_layer(tmp_path / "theirs.qcow2") as layer:
        assert layer.read(0, len(expected)) == expected
        assert list(layer.check(Progress())) == []


def test_we_read_zstd(qemu_img: str, tmp_path: Path) -> None:
    expected = convert_by_qemu(qemu_img, tmp_path, "compression_type=zstd", "-c")
    with open_layer(tmp_path / "theirs.qcow2") as layer:
        assert layer.info.details["compression"] == "zstd"
        assert any(each.kind is ExtentKind.DATA and each.file_offset is None for each in layer.extents())
        assert layer.read(0, len(expected)) == expected
        assert layer.read(MIB - 700, 1000) == expected[MIB - 700 : MIB + 300]
        assert list(layer.check(Progress())) == []


def convert_by_qemu(qemu_img: str, folder: Path, options: str, compressed: str = "") -> bytes:
    raw, size = folder / "disk.raw", 5 * MIB + 512
    expected = bytearray(size)
    for start, end in ((0, 4096), (MIB - 512, MIB + 66000 // 512 * 512), (3 * MIB + 512, 4 * MIB), (size - 512, size)):
        expected[start:end] = pattern(0, start, end)
    raw.write_bytes(expected)
    flags = [compressed] if compressed else []
    qemu(qemu_img, "convert", *flags, "-f", "raw", "-O", "qcow2", "-o", options, raw, folder / "theirs.qcow2")
    return bytes(expected)


def test_zeros_and_subclusters_of_qemu(qemu_img: str, tmp_path: Path) -> None:
    below = pattern(1, 0, 4 * MIB)
    (tmp_path / "base.raw").write_bytes(below)
    path = tmp_path / "child.qcow2"
    options = "backing_file=base.raw,backing_fmt=raw,extended_l2=on,cluster_size=64k"
    qemu(qemu_img, "create", "-f", "qcow2", "-o", options, path)
    commands = [
        "write -z 0 1M",
        "write -P 7 1050624 2048",
        "write -z -u 1054720 4096",
        "write -P 9 2M 64k",
        "discard 3M 64k",
    ]
    for command in commands:
        qemu("qemu-io", "-f", "qcow2", "-c", command, path)
    with open_layer(path) as layer:
        assert list(layer.check(Progress())) == []
        assert layer.info.parent is not None
        assert layer.info.parent.format == "raw"
        kinds = {place: next(layer.extents(place, place + 512)).kind.value for place in (0, 1050624, 1054720, 2 * MIB)}
        assert kinds == {0: "zero", 1050624: "data", 1054720: "zero", 2 * MIB: "data"}
        assert next(layer.extents(MIB, MIB + 512)).kind is ExtentKind.ABSENT
        assert layer.read(1050624, 2048) == b"\7" * 2048


def test_internal_snapshots_are_said_and_left_aside(qemu_img: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu(qemu_img, "create", "-f", "qcow2", path, "4M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", path)
    qemu(qemu_img, "snapshot", "-c", "before", path)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 2 0 64k", path)
    with open_layer(path) as layer:
        assert layer.info.details["internal snapshots"].startswith("1")
        assert layer.read(0, 128 << 10) == b"\2" * (64 << 10) + b"\1" * (64 << 10)
        assert list(layer.check(Progress())) == []


def test_an_external_data_file_is_not_read(qemu_img: str, tmp_path: Path) -> None:
    path = tmp_path / "external.qcow2"
    qemu(qemu_img, "create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data.raw'}", path, "1M")
    with pytest.raises(Unsupported, match="external data file"):
        open_layer(path)


@pytest.mark.parametrize("method", [1, 2], ids=["aes", "luks"])
def test_an_encrypted_disk_is_not_read(qemu_img: str, tmp_path: Path, method: int) -> None:
    path = tmp_path / "encrypted.qcow2"
    # LUKS is set in the header by hand: qemu-img measures the processor before it makes such a disk, and fails on some busy ones.
    secret = ("--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s")
    qemu(qemu_img, "create", "-f", "qcow2", *secret, path, "1M")
    with path.open("r+b") as file:
        file.seek(32)
        assert int.from_bytes(file.read(4)) == 1
        file.seek(32)
        file.write(method.to_bytes(4))
    with pytest.raises(Unsupported, match="encryption"):
        open_layer(path)


@pytest.mark.parametrize("name", ["nbd://host/x", "json:{}", "a:b"])
def test_a_parent_that_is_no_file_has_no_path(qemu_img: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "child.qcow2"
    qemu(qemu_img, "create", "-u", "-f", "qcow2", "-F", "raw", "-b", name, path, "1M")
    with open_layer(path) as layer:
        assert layer.info.parent is not None
        assert layer.info.parent.paths == ()
        assert layer.info.details["backing file"] == name


@pytest.mark.parametrize(
    "new",
    [
        NewLayer(0),
        NewLayer(1000),
        NewLayer(MIB, block_size=3000),
        NewLayer(MIB, block_size=4 * MIB),
        NewLayer(MIB, Allocation.FIXED),
        NewLayer(MIB, Allocation.DIFFERENCING),
        NewLayer(MIB, parent=BASE),
        NewLayer(1 << 40, block_size=512),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=ParentReference(())),
        NewLayer(MIB, Allocation.DIFFERENCING, parent=ParentReference((RecordedPath(PathKind.RELATIVE, "x" * 1100),))),
    ],
)
def test_what_qcow2_can_not_hold_is_refused(tmp_path: Path, new: NewLayer) -> None:
    with pytest.raises(InvalidInput):
        create_layer(tmp_path / "disk.qcow2", new)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_clusters_are_refused_where_they_can_not_be(tmp_path: Path) -> None:
    new = NewLayer(MIB, Allocation.DIFFERENCING, parent=BASE, block_size=1 << 16)
    with create_layer(tmp_path / "disk.qcow2", new) as writer:
        writer.write_data(0, bytes(512))
        with pytest.raises(InvalidInput, match="whole clusters"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_our_errors_alone(data: st.DataObject) -> None:
    new = data.draw(
        st.sampled_from([NewLayer(MIB, block_size=4096), NewLayer(MIB, Allocation.DIFFERENCING, parent=BASE)])
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.qcow2"
        with create_layer(path, new) as writer:
            writer.write_data(4096, pattern(0, 0, 9 * 1024))
            writer.write_zero(64 << 10, 64 << 10)
            writer.write_data(MIB - 4096, pattern(0, 0, 4096))
            writer.finish()
        content = bytearray(path.read_bytes())
        size = new.block_size or 16 << 10
        regions = [0, 0, size, len(content) - 2 * size, len(content) - 3 * size]
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.sampled_from(regions)) + data.draw(st.integers(0, 120))
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content), len(content) // 2, 60]))])
        read_all(path)


def read_all(path: Path) -> None:
    """Read what can be read of a disk, but not more of it than a few MiB."""
    try:
        with open_layer(path, format_name="qcow2") as layer:
            list(layer.check(Progress()))
            for number, extent in enumerate(layer.extents(0, min(layer.info.size, 1 << 30))):
                layer.read(extent.offset, min(extent.length, 1 << 16))
                if number > 1000:
                    return
    except IrekoError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "new", [NewLayer(2 * MIB + 4096), NewLayer(2 * MIB + 4096, Allocation.DIFFERENCING, parent=BASE)]
)
def test_a_power_cut_while_writing_leaves_no_half_a_disk(new: NewLayer, tmp_path: Path) -> None:
    written = write_recorded(tmp_path, "qcow2", new)
    assert written.unsynced_at_rename == 0
    chance, opened = random.Random(3), 0
    for end in range(len(written.operations) + 1):
        done = written.operations[:end]
        risky = since_sync(done)
        kept = done[: len(done) - len(risky)] + [each for each in risky if chance.random() < 0.7]
        opened += survives(tmp_path / "after.qcow2", kept)
    assert opened > 0


@settings(max_examples=10, deadline=None)
@given(stacks(deepest=4))
def test_qemu_reads_our_chains(qemu_img: str, stack: Stack) -> None:
    if "vhdx" in stack.formats[1:] or stack.formats[0] == "vhd":
        return
    with TemporaryDirectory() as folder:
        leaf, raw = stack.write(Path(folder))[-1], Path(folder) / "flat.bin"
        qemu(qemu_img, "convert", "-f", stack.formats[-1], "-O", "raw", leaf, raw)
        assert raw.read_bytes() == stack.shown()


@pytest.mark.parametrize("suffix", ["raw", "qcow2"])
def test_all_is_on_the_disk_before_the_file_has_its_name(suffix: str, tmp_path: Path) -> None:
    written = write_recorded(tmp_path, suffix, NewLayer(2 * MIB + 4096))
    assert written.unsynced_at_rename == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"disk.{suffix}"]


@pytest.mark.parametrize("backing", ["", "base.raw"])
@pytest.mark.parametrize("size", [512, 5 * MIB, 1 << 40])
def test_an_empty_disk_is_sound_and_takes_next_to_nothing(
    qemu_img: str, tmp_path: Path, size: int, backing: str
) -> None:
    path = tmp_path / "disk.qcow2"
    with (tmp_path / "base.raw").open("wb") as file:
        file.truncate(size)
    create(path, capacity=size, backing_file=backing, backing_format="raw" if backing else "")
    qemu(qemu_img, "check", "-f", "qcow2", path)
    assert is_untouched(path)
    assert inspect(path).capacity == size
    with open_layer(path) as layer:
        assert list(layer.check(Progress())) == []
        assert [(each.length, each.kind.value) for each in layer.extents()] == [(size, "absent")]
        assert (layer.info.parent is not None) is bool(backing)
