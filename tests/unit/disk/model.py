"""A disk as a list of runs, and content that can be told from any other: what readers and writers are held to."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hypothesis import strategies as st

from ireko.disk.base import Extent, ExtentKind, Layer, LayerWriter
from ireko.disk.files import DiskFile

DATA, ZERO, ABSENT = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.ABSENT
MIB = 1 << 20
Run = tuple[int, int, ExtentKind]
"""From, to (both in bytes), kind."""


def pattern(seed: int, start: int, end: int) -> bytes:
    """The content of a range; every 512 bytes say where they are and whose."""
    return b"".join(struct.pack("<QQ", seed + 1, sector) * 32 for sector in range(start // 512, end // 512))


@dataclass(frozen=True)
class Content:
    """What one layer holds: runs in order, without gaps."""

    seed: int
    runs: tuple[Run, ...]

    def bytes_of(self, start: int, end: int) -> bytes:
        """The layer's own bytes; what isn't data is zeros."""
        return b"".join(
            pattern(self.seed, a, b) if kind is DATA else bytes(b - a) for a, b, kind in self.cut(start, end)
        )

    def cut(self, start: int, end: int) -> Iterator[Run]:
        for first, last, kind in self.runs:
            if max(first, start) < min(last, end):
                yield max(first, start), min(last, end), kind

    def write(self, writer: LayerWriter, source: DiskFile | None = None) -> None:
        """Write all of it, from memory or, where there is a source file, by copying from it."""
        if source:
            for start, end, kind in self.runs:
                source.write(start, pattern(self.seed, start, end) if kind is DATA else b"")
        for start, end, kind in self.runs:
            if kind is ZERO:
                writer.write_zero(start, end - start)
            elif kind is DATA and source:
                writer.copy_from(source, start, start, end - start)
            elif kind is DATA:
                writer.write_data(start, pattern(self.seed, start, end))

    def interesting(self) -> list[int]:
        """The places where something changes."""
        return [start for start, _, _ in self.runs] + [self.runs[-1][1]]


@st.composite
def contents(
    draw: st.DrawFn, *, size: int, sector: int, anchors: list[int], seed: int = 0, longest: int = 1 << 18
) -> Content:
    """Runs whose borders are near the places where formats have theirs; data runs are short, so that tests are quick."""
    near = st.builds(
        lambda anchor, delta: anchor + delta * sector, st.sampled_from([*anchors, 0, size]), st.integers(-9, 9)
    )
    anywhere = st.integers(0, size // sector).map(lambda number: number * sector)
    places = draw(st.lists(st.one_of(near, near, anywhere), max_size=14))
    cuts = sorted({0, size, *(place // sector * sector for place in places if 0 < place < size)})
    runs: list[Run] = []
    for start, end in pairwise(cuts):
        kind = draw(st.sampled_from([DATA, ABSENT, ZERO]))
        stop = min(end, start + longest) if kind is DATA else end
        runs.append((start, stop, kind))
        if stop < end:
            runs.append((stop, end, draw(st.sampled_from([ABSENT, ZERO]))))
    return Content(seed, tuple(runs))


def kinds(extents: list[Extent], size: int) -> list[Run]:
    """The extents as runs, checked for order and gaps; neighbours of one kind are joined."""
    place = 0
    joined: list[Run] = []
    for extent in extents:
        assert extent.offset == place
        assert extent.length > 0
        place = extent.end
        if joined and joined[-1][2] is extent.kind:
            joined[-1] = joined[-1][0], extent.end, extent.kind
        else:
            joined.append((extent.offset, extent.end, extent.kind))
    assert place == size
    return joined


def assert_holds(layer: Layer, content: Content, *, exact: bool) -> None:
    """Whether a layer shows a content. `exact`: what is absent must be absent, as a parent would show."""
    assert layer.info.size == content.runs[-1][1]
    for start, end, kind in kinds(list(layer.extents()), layer.info.size):
        for first, last, wanted in content.cut(start, end):
            if kind is DATA:
                read = layer.read(first, min(last - first, MIB))
                assert read == content.bytes_of(first, first + len(read))
                assert not (exact and wanted is ABSENT)
            else:
                assert wanted is not DATA
                assert not exact or kind is wanted


def flattened(layers: list[Layer], start: int, end: int) -> bytes:
    """What a chain shows, leaf first; sector by sector, as plainly as can be."""
    result = bytearray()
    for sector in range(start, end, 512):
        for layer in layers:
            extent = next(layer.extents(sector, sector + 512))
            if extent.kind is not ABSENT:
                result += layer.read(sector, 512)
                break
        else:
            result += bytes(512)
    return bytes(result)


def source_file(folder: Path) -> DiskFile:
    """A file to copy from."""
    return DiskFile(folder / "source", os.O_RDWR | os.O_CREAT)
