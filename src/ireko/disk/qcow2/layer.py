"""Reading a qcow2 file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ireko.disk.base import (
    Allocation,
    Extent,
    ExtentKind,
    Layer,
    LayerInfo,
    ParentReference,
    PathKind,
    Problem,
    Progress,
    RecordedPath,
    clip,
)
from ireko.disk.errors import DiskDamaged
from ireko.disk.files import DiskFile
from ireko.disk.qcow2.check import check_structures
from ireko.disk.qcow2.compression import read_cluster
from ireko.disk.qcow2.mapping import Mapping, Piece
from ireko.disk.qcow2.opening import Structures, read_structures
from ireko.disk.qcow2.structure import (
    ALL_ALLOCATED,
    ALL_ZERO,
    COMPRESSED,
    INCOMPATIBLE_CORRUPT,
    INCOMPATIBLE_DIRTY,
    OFFSET_MASK,
    SUBCLUSTERS,
    VERSION_2,
    ZERO,
    ZSTD,
)
from ireko.disk.tables import all_equal, runs, stretches

# QEMU takes what stands before a colon for a protocol, unless a slash comes first
_PROTOCOL = re.compile(r"[^/]*:")
_FORMAT_NAMES = {"vpc": "vhd"}
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\|\.\.?\\")


def open_qcow2(file: DiskFile) -> Qcow2Layer:
    """Open a qcow2 file. Raises DiskDamaged, DiskUnsupported."""
    return Qcow2Layer(read_structures(file))


class Qcow2Layer(Layer):
    """A qcow2 file, open for reading. Its internal snapshots are left aside; `info.details` says how many there are."""

    def __init__(self, structures: Structures) -> None:
        super().__init__(structures.file, _describe(structures))
        self._structures = structures
        self._mapping = Mapping(structures)
        self._last = (-1, b"")  # the compressed cluster that was read last

    def check(self, progress: Progress) -> Iterator[Problem]:
        """As promised: the header's marks, every L1 and L2 entry, and the refcount of every cluster in use."""
        return check_structures(self._structures, self._mapping, progress)

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        size = self._structures.cluster_size
        for piece in self._mapping.pieces(start // size, -(-end // size)):
            extents = self._piece(piece)
            if start <= piece.first * size and (piece.first + piece.clusters) * size <= end:
                yield from extents
            else:
                yield from (clip(extent, start, end) for extent in extents)

    def _piece(self, piece: Piece) -> Iterator[Extent]:
        size = self._structures.cluster_size
        if not piece.entries:
            return iter((Extent(piece.first * size, piece.clusters * size, ExtentKind.ABSENT),))
        return self._subclusters(piece) if self._structures.extended else self._clusters(piece)

    def _clusters(self, piece: Piece) -> Iterator[Extent]:
        size = self._structures.cluster_size
        for place, count, entry in runs(piece.entries, piece.first, size, _is_here):
            if not entry:
                yield Extent(place * size, count * size, ExtentKind.ABSENT)
            elif entry & COMPRESSED:
                yield Extent(place * size, count * size, ExtentKind.DATA)
            elif entry & ZERO:
                self._check_zero(place)
                yield Extent(place * size, count * size, ExtentKind.ZERO)
            elif entry & OFFSET_MASK:
                yield Extent(place * size, count * size, ExtentKind.DATA, self._offset(place, count, entry))
            else:
                yield Extent(place * size, count * size, ExtentKind.ABSENT)

    def _subclusters(self, piece: Piece) -> Iterator[Extent]:
        size = self._structures.cluster_size
        unit = size // SUBCLUSTERS
        for place, count, entry, bitmap in _extended_runs(piece, size):
            base = (piece.first + place) * size
            if entry & COMPRESSED:
                yield Extent(base, count * size, ExtentKind.DATA)
                continue
            file_offset = self._offset(piece.first + place, count, entry) if bitmap & ALL_ALLOCATED else 0
            if bitmap in {0, ALL_ALLOCATED, ALL_ZERO}:
                kind = _KINDS[bitmap]
                yield Extent(base, count * size, kind, file_offset if kind is ExtentKind.DATA else None)
                continue
            for first, last, kind in self._bitmap_runs(piece.first + place, bitmap):
                where = file_offset + first * unit if kind is ExtentKind.DATA else None
                yield Extent(base + first * unit, (last - first) * unit, kind, where)

    def _bitmap_runs(self, cluster: int, bitmap: int) -> tuple[tuple[int, int, ExtentKind], ...]:
        if bitmap & bitmap >> 32 & ALL_ALLOCATED:
            raise self._wrong(cluster, f"with the bitmap {bitmap:#018x}", "without subclusters of two kinds at once")
        return _parts(bitmap)

    def _offset(self, cluster: int, count: int, entry: int) -> int:
        """Where a run of clusters begins in the file. The file's last one may be cut off where it was never written."""
        offset, size = entry & OFFSET_MASK, self._structures.cluster_size
        if not offset or offset % size or offset + (count - 1) * size >= self._structures.length:
            found = f"at {offset}" if count == 1 else f"at {offset}, the first of {count}"
            raise self._wrong(cluster, found, f"at a cluster's place in the file of {self._structures.length} bytes")
        return offset

    def _check_zero(self, cluster: int) -> None:
        if self._structures.header.version == VERSION_2:
            raise self._wrong(cluster, "a zero cluster", "of a kind that version 2 knows")

    def _wrong(self, cluster: int, found: str, wanted: str) -> DiskDamaged:
        place = self._mapping.l2_place(cluster)
        return DiskDamaged(
            self.file.path, f"the L2 entry of cluster {cluster}", offset=place, found=found, wanted=wanted
        )

    def _read_encoded(self, offset: int, view: memoryview) -> None:
        size, done = self._structures.cluster_size, 0
        while done < len(view):
            cluster, within = divmod(offset + done, size)
            count = min(size - within, len(view) - done)
            view[done : done + count] = self._decompressed(cluster)[within : within + count]
            done += count

    def _decompressed(self, cluster: int) -> bytes:
        number, content = self._last
        if number != cluster:
            content = read_cluster(self._structures, cluster, self._mapping.entry(cluster))
            self._last = cluster, content
        return content


_KINDS = {0: ExtentKind.ABSENT, ALL_ALLOCATED: ExtentKind.DATA, ALL_ZERO: ExtentKind.ZERO}


def _is_here(entry: int) -> bool:
    """Whether an entry's cluster lies in the file as it is, so that the next one may follow it there."""
    return bool(entry & OFFSET_MASK) and not entry & (COMPRESSED | ZERO)


def _extended_runs(piece: Piece, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Runs of clusters that continue each other and are of one kind as a whole, as (first, count, first entry, bitmap)."""
    for start, count, entry in runs(piece.entries, 0, size, _is_here):
        step = size if _is_here(entry) else 0
        for first, bitmaps in stretches(piece.bitmaps[start : start + count], start, 0):
            here = entry + (first - start) * step
            if bitmaps[0] in _KINDS and all_equal(bitmaps):
                yield first, len(bitmaps), here, bitmaps[0]
            else:
                yield from (
                    (place, 1, here + (place - first) * step, bitmap) for place, bitmap in enumerate(bitmaps, first)
                )


@lru_cache(maxsize=1024)
def _parts(bitmap: int) -> tuple[tuple[int, int, ExtentKind], ...]:
    """The runs of subclusters of one kind, as (first, last + 1, kind)."""
    found: list[tuple[int, int, ExtentKind]] = []
    for number in range(SUBCLUSTERS):
        allocated, zero = bitmap >> number & 1, bitmap >> number + SUBCLUSTERS & 1
        kind = ExtentKind.DATA if allocated else ExtentKind.ZERO if zero else ExtentKind.ABSENT
        if found and found[-1][2] is kind:
            found[-1] = found[-1][0], number + 1, kind
        else:
            found.append((number, number + 1, kind))
    return tuple(found)


def _describe(structures: Structures) -> LayerInfo:
    header = structures.header
    return LayerInfo(
        path=structures.file.path,
        format="qcow2",
        allocation=Allocation.DIFFERENCING if structures.backing_file else Allocation.DYNAMIC,
        size=header.size,
        block_size=structures.cluster_size,
        parent=_parent(structures),
        dirty=bool(header.incompatible_features & (INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT)),
        snapshots=structures.header.nb_snapshots,
        details=_details(structures),
    )


def _parent(structures: Structures) -> ParentReference | None:
    """The parent; without paths when QEMU would take its name for something else than a file."""
    name = structures.backing_file
    if not name:
        return None
    name = name.removeprefix("file:")
    windows = bool(_WINDOWS_PATH.match(name))
    pure = RecordedPath(PathKind.RELATIVE, name, windows=windows).pure()
    path = RecordedPath(PathKind.ABSOLUTE if pure.is_absolute() else PathKind.RELATIVE, name, windows=windows)
    recorded = structures.backing_format
    is_file = windows or not _PROTOCOL.match(name)
    return ParentReference((path,) if is_file else (), format=_FORMAT_NAMES.get(recorded, recorded))


def _details(structures: Structures) -> dict[str, str]:
    header = structures.header
    details = {"version": str(header.version)}
    if structures.backing_file:
        details["backing file"] = structures.backing_file
    if structures.extended:
        details["subclusters"] = f"{structures.cluster_size // SUBCLUSTERS} bytes"
    if structures.compression == ZSTD:
        details["compression"] = "zstd"
    if header.nb_snapshots:
        details["internal snapshots"] = f"{header.nb_snapshots}, left aside"
    return details
