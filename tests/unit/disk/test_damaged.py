"""What broken and hostile VHDX and VHD files get: an error that names the place, and never anything else."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import random
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, ExtentKind, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.errors import DiskDamaged, DiskError, DiskUnsupported
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.vhdx.crc32c import crc32c
from ireko.errors import IrekoError, NotFound

from .vhdx_log import SECTOR, Entry, Log, Write

KIB, MIB = 1 << 10, 1 << 20
HEADERS, TABLES = (64 * KIB, 128 * KIB), (192 * KIB, 256 * KIB)
METADATA, BAT = 2 * MIB, 3 * MIB
CONTENT, DISK = "7584f8fb-36d3-4091-afb5-b1afe587bfa8", "d62318cc-56ce-42e2-898d-16e1d1c9843e"
PARENT = ParentReference((RecordedPath(PathKind.RELATIVE, r".\base.vhdx", windows=True),), (CONTENT,), "vhdx")
Patch = Callable[[bytearray], None]


def base(path: Path) -> None:
    with create_layer(path, NewLayer(3 * MIB, block_size=MIB)) as writer:
        writer.write_data(0, b"A" * 512)
        writer.write_data(MIB, b"B" * 512)
        writer.finish()


def child(path: Path) -> None:
    new = NewLayer(3 * MIB, Allocation.DIFFERENCING, block_size=MIB, parent=PARENT, disk_id=DISK)
    with create_layer(path, new) as writer:
        writer.write_data(512, b"A" * 512)
        writer.write_zero(MIB, MIB)
        writer.finish()


def dirty(path: Path) -> None:
    base(path)
    log = Log()
    writes = (
        Write(BAT, struct.pack("<QQ", 5 << 20 | 6, 4 << 20 | 6).ljust(SECTOR, b"\0")),
        Write(BAT + SECTOR, length=SECTOR),
    )
    log.put(log.put(0, Entry(1, 0, writes, flushed=6 * MIB, last=7 * MIB)), Entry(2, 0, writes, last=8 * MIB))
    log.install(path)


def old(path: Path) -> None:
    with create_layer(path, NewLayer(3 * MIB, block_size=64 * KIB)) as writer:
        writer.write_data(0, b"A" * 512)
        writer.write_data(MIB, b"B" * 512)
        writer.finish()


def old_child(path: Path) -> None:
    new = NewLayer(
        3 * MIB, Allocation.DIFFERENCING, block_size=64 * KIB, parent=dataclasses.replace(PARENT, format="vhd")
    )
    with create_layer(path, new) as writer:
        writer.write_data(512, b"A" * 512)
        writer.write_zero(MIB, 64 * KIB)
        writer.finish()


MAKERS: dict[str, Callable[[Path], None]] = {
    "base.vhdx": base,
    "child.vhdx": child,
    "dirty.vhdx": dirty,
    "old.vhd": old,
    "old_child.vhd": old_child,
}
# where structures are: fuzzing anywhere would mostly hit zeros
PLACES = {
    ".vhdx": [
        0,
        *HEADERS,
        *TABLES,
        MIB,
        MIB + SECTOR,
        MIB + 2 * SECTOR,
        METADATA,
        METADATA + 64 * KIB,
        BAT,
        4 * MIB,
        5 * MIB,
    ],
    ".vhd": [0, 512, 512 + 576, 2048, 4096, 8192, 12288, 12288 + (64 << 10)],
}


def seal(data: bytearray) -> None:
    """Make the checksums of headers and region tables right again, so that what is behind them is reached."""
    for offset, length in (*((each, 4096) for each in HEADERS), *((each, 64 * KIB) for each in TABLES)):
        part = data[offset : offset + length]
        part[4:8] = bytes(4)
        data[offset + 4 : offset + 8] = struct.pack("<I", crc32c(part))


def seal_vhd(data: bytearray) -> None:
    for offset, length, place in ((0, 512, 64), (512, 1024, 36), (len(data) - 512, 512, 64)):
        part = data[offset : offset + length]
        part[place : place + 4] = bytes(4)
        data[offset + place : offset + place + 4] = struct.pack(">I", ~sum(part) & 0xFFFFFFFF)


def exercise(path: Path) -> None:
    """Everything that a reader does, within bounds."""
    with open_layer(path, format_name=path.suffix[1:]) as layer:
        list(itertools.islice(layer.check(Progress()), 50))
        for extent in itertools.islice(layer.extents(), 200):
            if extent.kind is ExtentKind.DATA:
                layer.read(extent.offset, min(extent.length, 4096))
        for place in (0, MIB - 512, layer.info.size - 512):
            with contextlib.suppress(ValueError):
                layer.read(place, 1024)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    for name, make in MAKERS.items():
        make(folder / name)
    return {name: (folder / name).read_bytes() for name in MAKERS}


class Patched:
    """A copy of a file that is changed and changed back: a new copy for each change would take most of the time."""

    def __init__(self, path: Path, original: bytes) -> None:
        self.path = path
        self._original = original
        path.write_bytes(original)

    @contextlib.contextmanager
    def with_patch(self, patch: Patch, *, length: int | None = None) -> Iterator[Path]:
        data = bytearray(self._original)
        patch(data)
        changed = [
            place
            for place in range(0, len(data), 64 * KIB)
            if data[place : place + 64 * KIB] != self._original[place : place + 64 * KIB]
        ]
        self._put(data, changed)
        if length is not None:
            os.truncate(self.path, length)
        try:
            yield self.path
        finally:
            if length is not None:
                self.path.write_bytes(self._original)
            self._put(self._original, changed)

    def _put(self, data: bytes | bytearray, places: list[int]) -> None:
        with self.path.open("r+b") as file:
            for place in places:
                file.seek(place)
                file.write(data[place : place + 64 * KIB])


@st.composite
def patches(draw: st.DrawFn, suffix: str) -> Patch:
    """Some bytes changed, near structures; checksums mended or not."""
    values = st.one_of(
        st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\xff" * 4, bytes(8), b"\0\0\0\x80"])
    )
    changes = draw(
        st.lists(st.tuples(st.sampled_from(PLACES[suffix]), st.integers(0, 150), values), min_size=1, max_size=5)
    )
    at_end = draw(st.booleans())
    mend = draw(st.booleans())

    def patch(data: bytearray) -> None:
        for number, (place, within, value) in enumerate(changes):
            start = place + within if number or not at_end or suffix != ".vhd" else len(data) - 512 + within
            end = min(start + len(value), len(data))
            data[start:end] = value[: end - start]
        if mend:
            seal_vhd(data) if suffix == ".vhd" else seal(data)

    return patch


@pytest.mark.parametrize("name", MAKERS)
def test_changed_bytes_give_our_errors_or_none(name: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    patched = Patched(tmp_path / name, originals[name])

    @settings(max_examples=120)
    @given(patches(Path(name).suffix), st.one_of(st.none(), st.none(), st.integers(0, len(originals[name]))))
    def check(patch: Patch, length: int | None) -> None:
        begun = time.process_time()
        with patched.with_patch(patch, length=length) as path, contextlib.suppress(IrekoError):
            exercise(path)
        assert time.process_time() - begun < 5

    check()


def number(offset: int, value: int, form: str = "<Q") -> Patch:
    def patch(data: bytearray) -> None:
        struct.pack_into(form, data, offset, value)
        seal(data)

    return patch


def spoil(*offsets: int) -> Patch:
    def patch(data: bytearray) -> None:
        for offset in offsets:
            data[offset] ^= 0xFF

    return patch


ITEMS = METADATA + 64 * KIB
UNKNOWN = bytes(range(16))


def unknown_item(required: bool) -> Patch:
    def patch(data: bytearray) -> None:
        count = data[METADATA + 10]
        data[METADATA + 10] = count + 1
        entry = METADATA + 32 + 32 * count
        data[entry : entry + 28] = UNKNOWN + struct.pack("<III", 0, 0, 4 if required else 0)

    return patch


def unknown_region(required: bool) -> Patch:
    def patch(data: bytearray) -> None:
        for table in TABLES:
            data[table + 8] = 3
            data[table + 80 : table + 112] = UNKNOWN + struct.pack("<QII", 6 * MIB, MIB, required)
        seal(data)

    return patch


def two_currents(data: bytearray) -> None:
    """Both headers carry one number, and differ."""
    struct.pack_into("<Q", data, HEADERS[0] + 8, 2)
    data[HEADERS[0] + 32] ^= 1
    seal(data)


def log_of_a_later_version(data: bytearray) -> None:
    for header in HEADERS:
        data[header + 64] = 1
    seal(data)


def many_entries(data: bytearray) -> None:
    """The locator is the sixth item; its length grows so that the entries fit."""
    struct.pack_into("<I", data, METADATA + 32 + 5 * 32 + 20, 8000)
    struct.pack_into("<H", data, ITEMS + 40 + 18, 300)


CASES: list[tuple[str, Patch, type[DiskError], str]] = [
    ("base.vhdx", spoil(HEADERS[0], HEADERS[1] + 9), DiskDamaged, "header 1 at offset 65536 is without a signature"),
    ("base.vhdx", spoil(*(each + 40 for each in HEADERS)), DiskDamaged, "header 1 at offset 65536 is at odds with its checksum"),
    ("base.vhdx", number(HEADERS[1] + 66, 2, "<H"), DiskUnsupported, "the version in the header is 2, it must be 1"),
    ("base.vhdx", number(HEADERS[0] + 8, 2), DiskDamaged, "") ,
    ("base.vhdx", two_currents, DiskDamaged, "the current header is two, different, with the sequence number 2"),
    ("base.vhdx", log_of_a_later_version, DiskDamaged, ""),
    ("dirty.vhdx", log_of_a_later_version, DiskUnsupported, "the log's version is 1, it must be 0"),
    ("base.vhdx", spoil(*(each + 20 for each in TABLES)), DiskDamaged, "region table 1 at offset 196608 is at odds"),
    ("base.vhdx", number(TABLES[0] + 8, 5000, "<I"), DiskDamaged, ""),
    ("base.vhdx", number(TABLES[0] + 32, MIB + 5), DiskDamaged, "the BAT region is 1048576 bytes at 1048581"),
    ("base.vhdx", number(TABLES[0] + 32, 1 << 40), DiskDamaged, "inside the file of"),
    ("base.vhdx", unknown_region(required=True), DiskUnsupported, "the region 03020100-0504-0706-0809-0a0b0c0d0e0f"),
    ("base.vhdx", unknown_item(required=True), DiskUnsupported, "03020100-0504-0706-0809-0a0b0c0d0e0f is required"),
    ("base.vhdx", spoil(METADATA), DiskDamaged, "the metadata table at offset 2097152 is signed"),
    ("base.vhdx", number(METADATA + 10, 3000, "<H"), DiskDamaged, "the number of metadata items at offset 2097152 is 3000"),
    ("base.vhdx", number(METADATA + 32 + 16, MIB - 2, "<I"), DiskDamaged, "the file parameters is 8 bytes at 1048574"),
    ("base.vhdx", number(METADATA + 32 + 20, 7, "<I"), DiskDamaged, "the file parameters at offset 2162688 is 7 bytes long"),
    ("base.vhdx", number(ITEMS, 3 * MIB, "<I"), DiskDamaged, "a block size of 3145728, it must be a power of two"),
    ("base.vhdx", number(ITEMS + 8, (64 << 40) + 512), DiskDamaged, "the virtual disk size at offset 2162696"),
    ("base.vhdx", number(ITEMS + 16, 1024, "<I"), DiskDamaged, "the logical sector size at offset 2162704 is 1024"),
    ("base.vhdx", number(ITEMS + 8, 60 << 40), DiskDamaged, "the BAT region's length"),
    ("base.vhdx", number(BAT, 5), DiskDamaged, "the BAT entry of block 0 at offset 3145728 is state 5"),
    ("base.vhdx", number(BAT, 4 << 20 | 7), DiskDamaged, "a state that this kind of disk may have"),
    ("base.vhdx", number(BAT, 6), DiskDamaged, "the BAT entry of block 0 at offset 3145728 is state 6, at 0"),
    ("base.vhdx", number(BAT, 99 << 20 | 6), DiskDamaged, "the BAT entry of block 0 at offset 3145728 is state 6, at 103809024"),
    ("child.vhdx", number(BAT + 4096 * 8, 0), DiskDamaged, "the BAT entry of the bitmap of chunk 0 at offset 3178496 is state 0"),
    ("child.vhdx", number(ITEMS + 40, 7), DiskDamaged, "the parent locator at offset 2162728 is of the type"),
    ("child.vhdx", number(ITEMS + 40 + 18, 900, "<H"), DiskDamaged, "with 900 entries"),
    ("child.vhdx", many_entries, DiskDamaged, "with 300 entries, it must be one with 256 or less"),
    ("child.vhdx", number(ITEMS + 40 + 20, 1 << 30, "<I"), DiskDamaged, "with a text of"),
    ("child.vhdx", number(ITEMS + 4, 0, "<I"), DiskDamaged, "a state that this kind of disk may have"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "patch", "error", "text"), CASES, ids=[f"{n}-{c[0]}-{c[3][:40]}" for n, c in enumerate(CASES)]
)
def test_the_place_is_named(
    name: str, patch: Patch, error: type[DiskError], text: str, originals: dict[str, bytes], tmp_path: Path
) -> None:
    data = bytearray(originals[name])
    patch(data)
    (tmp_path / name).write_bytes(data)
    if not text:  # the other copy stands in
        exercise(tmp_path / name)
        return
    with pytest.raises(error) as caught:
        exercise(tmp_path / name)
    assert text in str(caught.value)
    assert caught.value.path == tmp_path / name
    assert f'"{tmp_path / name}"' in str(caught.value)


@pytest.mark.parametrize("name", ["base.vhdx", "child.vhdx"])
@pytest.mark.parametrize(("state", "kind"), [(0, "absent"), (1, "zero"), (2, "zero"), (3, "zero")])
@pytest.mark.parametrize("megabyte", [0, 5])
def test_blocks_that_are_not_here(
    name: str, state: int, kind: str, megabyte: int, originals: dict[str, bytes], tmp_path: Path
) -> None:
    """Wherever such a block points to: nothing of it is looked at, and only "not present" lets the parent show."""
    data = bytearray(originals[name])
    number(BAT, megabyte << 20 | state)(data)
    (tmp_path / name).write_bytes(data)
    with open_layer(tmp_path / name) as layer:
        assert next(layer.extents(0, MIB)) == (0, MIB, ExtentKind(kind), None)
        assert layer.read(0, 1024) == bytes(1024)
        assert list(layer.check(Progress())) == []


def test_what_is_unknown_and_optional_is_no_obstacle(originals: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(originals["base.vhdx"])
    unknown_item(required=False)(data)
    unknown_region(required=False)(data)
    (tmp_path / "base.vhdx").write_bytes(data)
    with open_layer(tmp_path / "base.vhdx") as layer:
        assert layer.read(0, 512) == b"A" * 512
        assert layer.info.details["unknown regions"] == "03020100-0504-0706-0809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        (spoil(HEADERS[1]), "header 2 at offset 131072 is without a signature"),
        (spoil(TABLES[1] + 50), "region table 2 at offset 262144 is at odds with its checksum"),
        (
            number(BAT + 8, 4 << 20 | 6),
            "the BAT entry of block 1 at offset 3145736 is on top of something else at 4194304",
        ),
        (
            number(BAT + 8, 3 << 20 | 6),
            "the BAT entry of block 1 at offset 3145736 is on top of something else at 3145728",
        ),
        (number(BAT + 8, 4), "the BAT entry of block 1 at offset 3145736 is in the state 4"),
        (number(BAT + 8, 5 << 20 | 0x80 | 6), "without reserved bits"),
        (
            number(BAT + 8, 6 << 20 | 6),
            "the BAT entry of block 1 at offset 3145736 is at 6291456, it must be inside the file",
        ),
    ],
)
def test_check_finds_it(patch: Patch, text: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(originals["base.vhdx"])
    patch(data)
    (tmp_path / "base.vhdx").write_bytes(data)
    with open_layer(tmp_path / "base.vhdx") as layer:
        found = [str(each) for each in layer.check(Progress())]
    assert len(found) == 1
    assert text in found[0]


def test_a_huge_claim_costs_nothing(tmp_path: Path) -> None:
    """64 TiB in blocks of 4 MiB, with a table of zeros: no memory for what isn't there."""
    path = tmp_path / "disk.vhdx"
    with create_layer(path, NewLayer(64 << 40, block_size=4 * MIB)) as writer:
        writer.write_data(40 << 40, b"x" * 4096)
        writer.finish()
    tracemalloc.start()
    begun = time.process_time()
    with open_layer(path) as layer:
        found = [each for each in layer.extents() if each.kind is ExtentKind.DATA]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(each.offset, each.length) for each in found] == [(40 << 40, 4 * MIB)]
    assert peak < 64 * MIB
    assert time.process_time() - begun < 20


def test_a_log_of_overlapping_entries_does_not_take_for_ever(originals: dict[str, bytes], tmp_path: Path) -> None:
    """Each sector claims to begin an entry as long as the log."""
    path = tmp_path / "base.vhdx"
    path.write_bytes(originals["base.vhdx"])
    log = Log()
    entry = Entry(1, 0).pack()[:SECTOR]
    entry = entry[:8] + struct.pack("<I", log.length) + entry[12:]
    for place in range(0, log.length, SECTOR):
        log.ring[place : place + SECTOR] = entry
    log.install(path)
    with pytest.raises(DiskDamaged, match="full of entries that overlap"):
        open_layer(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders on Windows")
def test_other_files_are_no_disks(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_layer(tmp_path / "missing.vhdx")
    os.mkfifo(tmp_path / "pipe.vhdx")
    with pytest.raises(DiskUnsupported, match="a regular file or a block device"):
        open_layer(tmp_path / "pipe.vhdx")
    with pytest.raises(DiskUnsupported, match="a regular file or a block device"):
        open_layer(tmp_path)


def test_random_bytes_behind_a_signature(tmp_path: Path) -> None:
    chance = random.Random(1)
    for suffix, signature in ((".vhdx", b"vhdxfile"), (".vhd", b"conectix")):
        path = tmp_path / f"disk{suffix}"
        path.write_bytes(signature + chance.randbytes(400_000))
        with pytest.raises(DiskError):
            exercise(path)
