"""Files by offset, copies, progress."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.disk import copying
from ireko.disk.base import (
    Allocation,
    Extent,
    ExtentKind,
    LayerInfo,
    PathKind,
    Progress,
    RecordedPath,
    coalesce,
)
from ireko.disk.copying import copy_range
from ireko.disk.errors import Cancelled, DiskDamaged
from ireko.disk.files import DiskFile
from ireko.disk.formats import format_for, format_named
from ireko.disk.reference import reference_to, windows_text
from ireko.errors import Denied, InvalidInput, IrekoError, NotFound

MIB = 1 << 20
DATA, ZERO, ABSENT = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.ABSENT


def new_file(path: Path) -> DiskFile:
    return DiskFile(path, os.O_RDWR | os.O_CREAT)


def test_reading_and_writing_by_offset(tmp_path: Path) -> None:
    with new_file(tmp_path / "file") as file:
        file.write(4, b"abc")
        file.grow(10)
        file.grow(5)
        assert file.length() == 10
        assert file.read(0, 100) == b"\0\0\0\0abc\0\0\0"
        assert file.read(20, 5) == b""
        with pytest.raises(
            DiskDamaged, match="the table at offset 8 is cut off after 2 bytes, it must be 4 bytes long"
        ):
            file.read_exactly(8, 4, "the table")


def test_a_file_that_is_closed_is_never_taken_for_another(tmp_path: Path) -> None:
    with DiskFile(tmp_path / "one", os.O_RDWR | os.O_CREAT) as closed:
        number = closed.descriptor
    with DiskFile(tmp_path / "two", os.O_RDWR | os.O_CREAT) as other:
        assert other.descriptor == number
        other.write(0, b"theirs")
        for use in (lambda: closed.write(0, b"ours"), lambda: closed.read(0, 4), closed.length, closed.sync):
            with pytest.raises((IrekoError, ValueError)):
                use()
        assert other.read(0, 6) == b"theirs"


def test_errors_of_the_system_become_ours(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r'there is no file ".*missing"'):
        DiskFile(tmp_path / "missing")
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "secret").touch(mode=0)
        with pytest.raises(Denied):
            DiskFile(tmp_path / "secret")


def test_holes_are_left_out(tmp_path: Path) -> None:
    with new_file(tmp_path / "file") as file:
        file.grow(8 * MIB)
        file.write(2 * MIB, b"x" * 4096)
        file.write(6 * MIB, b"y" * 4096)
        found = list(file.data_ranges(0, 8 * MIB))
        covered = {place for start, end in found for place in range(start // 4096, -(-end // 4096))}
        assert {2 * MIB // 4096, 6 * MIB // 4096} <= covered
        assert list(file.data_ranges(2 * MIB + 5, 2 * MIB + 10)) == [(2 * MIB + 5, 2 * MIB + 10)]


@pytest.mark.parametrize("by_kernel", [True, False])
def test_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_kernel: bool) -> None:
    if not by_kernel:
        monkeypatch.setattr(copying, "_copy_by_kernel", lambda *_: 0)
    with new_file(tmp_path / "a") as source, new_file(tmp_path / "b") as target:
        content = os.urandom(3 * MIB)
        source.write(100, content)
        copy_range(source, 100, target, 50, len(content))
        copy_range(source, 100, target, 4 * MIB, 4 * len(content))  # past the end there is nothing
        assert target.read(50, len(content)) == content
        assert target.read(4 * MIB, len(content)) == content
        assert target.length() == 4 * MIB + len(content)


extents = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([DATA, ZERO, ABSENT]), st.sampled_from([None, 0, 1000])), max_size=12
)


@given(extents)
def test_neighbours_are_joined(parts: list[tuple[int, ExtentKind, int | None]]) -> None:
    """Byte by byte, the joined ones say what the parts said; and no two could be joined any more."""
    given_extents, place = [], 0
    for length, kind, base in parts:
        file_offset = None if base is None or kind is not DATA else base + place
        given_extents.append(Extent(place, length, kind, file_offset))
        place += length
    joined = list(coalesce(given_extents))
    assert spelled(joined) == spelled(given_extents)
    for before, after in pairwise(joined):
        assert spelled([before])[-1][1:] != spelled([after])[0][1:]


def spelled(found: list[Extent]) -> list[tuple[int, ExtentKind, int | None]]:
    """For each byte where it is, what it is, and how far its place in the file is from that."""
    return [
        (each.offset + number, each.kind, None if each.file_offset is None else each.file_offset - each.offset)
        for each in found
        for number in range(each.length)
    ]


def test_progress_reports_and_stops() -> None:
    seen: list[tuple[int, int]] = []
    progress = Progress(lambda done, total: seen.append((done, total)))
    progress.begin(10)
    progress.advance(4)
    progress.cancel()
    with pytest.raises(Cancelled):
        progress.advance(4)
    assert seen == [(0, 10), (4, 10)]


def test_a_parent_is_named_beside_its_child_and_in_full(tmp_path: Path) -> None:
    info = LayerInfo(tmp_path / "layers" / "a.vhdx", "vhdx", Allocation.DYNAMIC, MIB)
    found = reference_to(info, tmp_path / "containers" / "b.vhdx")
    assert [each.kind for each in found.paths] == [PathKind.RELATIVE, PathKind.ABSOLUTE]
    assert Path(found.paths[1].text) == info.path
    assert (tmp_path / "containers" / found.paths[0].text).resolve() == info.path
    assert found.identities == ()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (RecordedPath(PathKind.RELATIVE, "a.vhdx"), r".\a.vhdx"),
        (RecordedPath(PathKind.RELATIVE, ".hidden.vhdx"), r".\.hidden.vhdx"),
        (RecordedPath(PathKind.RELATIVE, "../x/a.vhdx"), r"..\x\a.vhdx"),
        (RecordedPath(PathKind.RELATIVE, "./a.vhdx"), r".\a.vhdx"),
        (RecordedPath(PathKind.RELATIVE, r".\a.vhdx", windows=True), r".\a.vhdx"),
        (RecordedPath(PathKind.ABSOLUTE, r"C:\a.vhdx", windows=True), r"C:\a.vhdx"),
        (RecordedPath(PathKind.ABSOLUTE, "/srv/a.vhdx"), ""),
    ],
)
def test_windows_has_its_own_way_with_paths(path: RecordedPath, wanted: str) -> None:
    assert windows_text(path) == wanted


def test_formats_are_found_by_name_and_suffix() -> None:
    assert format_for(Path("a.AVHDX")).name == "vhdx"
    assert format_named("vhd").name == "vhd"
    for call in (lambda: format_named("vmdk"), lambda: format_for(Path("a.txt"))):
        with pytest.raises(InvalidInput):
            call()
