"""Deltas keep the definition in docs/disk/chains.md, held to a slow and obvious reading of it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Progress
from ireko.disk.delta import WINDOW, chain_id, diff_id, identity_of, read_delta
from ireko.disk.errors import Cancelled
from ireko.disk.formats import open_layer
from ireko.disk.zeros import UNIT, zero_runs

from .model import ABSENT, DATA, MIB, ZERO, Content, contents
from .stacks import BORDERS, add_layer

Part = tuple[int, int, bool]
"""From, to (both in bytes), whether it is zeros."""


@st.composite
def with_zeros(draw: st.DrawFn, *, deepest: int = 3) -> bytes:
    pieces = st.lists(st.tuples(st.booleans(), st.integers(1, deepest * UNIT)), min_size=1, max_size=12)
    return b"".join((b"x" if filled else b"\0") * count for filled, count in draw(pieces))


@settings(max_examples=200, deadline=None)
@given(with_zeros(deepest=20), st.data())
def test_zeros_are_found_in_whole_units(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    expected: list[Part] = []
    for place in range(start, end, UNIT):
        stop = min(end, place + UNIT)
        zero = not any(content[place:stop])
        if expected and expected[-1][2] is zero:
            expected[-1] = expected[-1][0], stop, zero
        else:
            expected.append((place, stop, zero))
    assert list(zero_runs(bytearray(content), start, end)) == expected


def naive_parts(content: Content) -> list[Part]:
    """The parts of a child's delta, sector by sector."""
    size = content.runs[-1][1]
    whole = content.bytes_of(0, size)
    here = bytearray(size // 512)
    for first, last, kind in content.runs:
        if kind is not ABSENT:
            here[first // 512 : last // 512] = b"\1" * ((last - first) // 512)
    parts: list[Part] = []
    for unit in range(0, size, UNIT):
        end = min(size, unit + UNIT)
        zero = all(here[unit // 512 : end // 512]) and not any(whole[unit:end])
        for sector in range(unit, end, 512):
            if here[sector // 512]:
                if parts and parts[-1][1] == sector and parts[-1][2] is zero:
                    parts[-1] = parts[-1][0], sector + 512, zero
                else:
                    parts.append((sector, sector + 512, zero))
    return parts


def naive_id(content: Content) -> str:
    size = content.runs[-1][1]
    parts = naive_parts(content)
    extents, chunks = hashlib.sha256(), hashlib.sha256()
    windows: dict[int, bytes] = {}
    for start, end, zero in parts:
        extents.update(
            (start // 512).to_bytes(8, "little") + ((end - start) // 512).to_bytes(8, "little") + bytes([zero])
        )
        for sector in [] if zero else range(start, end, 512):
            windows[sector // WINDOW] = windows.get(sector // WINDOW, b"") + content.bytes_of(sector, sector + 512)
    for number, data in windows.items():
        chunks.update(number.to_bytes(8, "little") + hashlib.sha256(data).digest())
    head = b"ireko-delta-1\n" + size.to_bytes(8, "little")
    return "sha256:" + hashlib.sha256(head + extents.digest() + chunks.digest()).hexdigest()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_child_has_the_diff_id_of_the_definition(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 4 * MIB // 512)) * 512
    content = data.draw(contents(size=size, sector=512, anchors=BORDERS, longest=20000 // 512 * 512))
    with TemporaryDirectory() as folder:
        base = Path(folder) / "base.vhdx"
        add_layer(base, Content(0, ((0, size, ABSENT),)))
        found = set()
        for suffix in ("vhdx", "qcow2"):
            path = Path(folder) / f"child.{suffix}"
            add_layer(path, content, base)
            with open_layer(path) as layer:
                found.add(diff_id(layer, Progress()))
        assert found == {naive_id(content)}


def test_zeros_over_many_windows_are_one_piece(tmp_path: Path) -> None:
    size = 64 << 30
    base, path = tmp_path / "base.vhdx", tmp_path / "child.vhdx"
    add_layer(base, Content(0, ((0, size, ABSENT),)))
    add_layer(path, Content(1, ((0, 512, DATA), (512, size - MIB, ZERO), (size - MIB, size, ABSENT))), base)
    with open_layer(path) as layer:
        found = [(each.offset, each.length, each.data is None) for each in read_delta(layer, Progress())]
    # the first block holds data too, so its zeros come window by window
    assert found[0] == (0, UNIT, False)
    assert found[-1][0] + found[-1][1] == size - MIB
    assert len(found) < 10


def test_ids_are_chained_as_oci_does() -> None:
    first, second = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    assert chain_id("", first) == first
    assert chain_id(first, second) == f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}"
    made = UUID(identity_of(first))
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert identity_of(first) != identity_of(second)


@pytest.mark.parametrize("steps", [2, 5, 99])
def test_no_thread_is_left_behind(tmp_path: Path, steps: int) -> None:
    """However it ends: cancelled among the chunks, or in the end."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"x" * (9 * MIB))
    left = steps

    def report(_: int, __: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            progress.cancel()

    progress = Progress(report)
    with open_layer(path) as layer, contextlib.suppress(Cancelled):
        diff_id(layer, progress)
    assert [each.name for each in threading.enumerate() if each.name.startswith("ireko-hash")] == []
