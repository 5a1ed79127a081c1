"""Looking at every structure of a qcow2 file: what `Layer.check` does for this format.

Clusters that only internal snapshots use are left aside, like the snapshots; so clusters may be counted more often than they are
used here, and what nobody uses is no problem to a reader.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from ireko.disk.base import Problem, Progress
from ireko.disk.bits import any_in_run, set_run
from ireko.disk.errors import DiskDamaged
from ireko.disk.qcow2.compression import place_of
from ireko.disk.qcow2.mapping import Mapping, Piece, numbers
from ireko.disk.qcow2.opening import Structures
from ireko.disk.qcow2.structure import (
    ALL_ALLOCATED,
    COMPRESSED,
    COPIED,
    ENTRY_SIZE,
    INCOMPATIBLE_CORRUPT,
    INCOMPATIBLE_DIRTY,
    L2_RESERVED_MASK,
    OFFSET_MASK,
    TABLE_RESERVED_MASK,
    ZERO,
)

_CLUSTERS_MAXIMUM = 1 << 30
"""Of a file: their map takes 128 MiB."""
_REFCOUNT_TABLE_MAXIMUM = 8 << 20


def check_structures(structures: Structures, mapping: Mapping, progress: Progress) -> Iterator[Problem]:
    """Everything that breaks a rule."""
    features = structures.header.incompatible_features
    if features & INCOMPATIBLE_CORRUPT:
        yield Problem("the header", "marked as corrupt", "without the mark", 72)
    if features & INCOMPATIBLE_DIRTY:
        yield Problem("the header", "marked as dirty: its refcounts are not up to date", "without the mark", 72)
    yield from _Check(structures, mapping, progress).problems()


class _Refcounts:
    """The counts of one file, read a block at a time."""

    def __init__(self, structures: Structures) -> None:
        header = structures.header
        self._structures = structures
        self._bits = 1 << header.refcount_order
        self._per_block = structures.cluster_size * 8 // self._bits
        self._table = self._read_table(header.refcount_table_offset, header.refcount_table_clusters)
        self._number, self._block = -1, b""

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Where blocks are, as (index, offset)."""
        return ((index, entry & ~0x1FF) for index, entry in enumerate(self._table) if entry & ~0x1FF)

    def count(self, cluster: int) -> int:
        """How often a cluster is used, as the file has it. Raises DiskDamaged."""
        number, place = divmod(cluster, self._per_block)
        if number != self._number:
            self._number, self._block = number, self._read_block(number)
        if not self._block:
            return 0
        if self._bits < 8:
            return self._block[place * self._bits // 8] >> place * self._bits % 8 & (1 << self._bits) - 1
        size = self._bits // 8
        return int.from_bytes(self._block[place * size : (place + 1) * size], "big")

    def _read_table(self, offset: int, clusters: int) -> array[int]:
        size, path = self._structures.cluster_size, self._structures.file.path
        length = clusters * size
        wrong = offset % size or not offset or length > _REFCOUNT_TABLE_MAXIMUM or not length
        if wrong or offset + length > self._structures.length:
            found, wanted = f"{length} bytes at {offset}", "whole clusters in the file"
            raise DiskDamaged(path, "the refcount table", offset=48, found=found, wanted=wanted)
        return numbers(self._structures.file.read_exactly(offset, length, "the refcount table"))

    def _read_block(self, number: int) -> bytes:
        offset = self._table[number] & ~0x1FF if number < len(self._table) else 0
        if not offset:
            return b""
        size, file = self._structures.cluster_size, self._structures.file
        if offset % size:
            place = self._structures.header.refcount_table_offset + number * ENTRY_SIZE
            structure = f"the refcount table's entry {number}"
            raise DiskDamaged(file.path, structure, offset=place, found=offset, wanted=f"a multiple of {size}")
        return file.read_exactly(offset, size, f"the refcount block {number}")


class _Check:
    def __init__(self, structures: Structures, mapping: Mapping, progress: Progress) -> None:
        self._structures = structures
        self._mapping = mapping
        self._progress = progress
        self._size = structures.cluster_size
        self._clusters = -(-structures.length // self._size)
        self._taken = bytearray(min(self._clusters, _CLUSTERS_MAXIMUM) // 8 + 1)
        self._shared = bytearray()  # by compressed clusters; as long as the other, once there are any
        self._snapshots = bool(structures.header.nb_snapshots)

    def problems(self) -> Iterator[Problem]:
        if self._clusters > _CLUSTERS_MAXIMUM:
            wanted = f"{_CLUSTERS_MAXIMUM * self._size} or less"
            yield Problem("the file's length", str(self._structures.length), wanted)
            return
        try:
            self._refcounts = _Refcounts(self._structures)
        except DiskDamaged as error:
            yield _as_problem(error)
            return
        yield from self._metadata()
        yield from self._tables()

    def _metadata(self) -> Iterator[Problem]:
        header = self._structures.header
        l1_clusters = -(-header.l1_size * ENTRY_SIZE // self._size)
        yield from self._use("the header", 0, 0, 1)
        yield from self._use("the refcount table", 48, header.refcount_table_offset, header.refcount_table_clusters)
        for index, offset in self._refcounts.blocks():
            place = header.refcount_table_offset + index * ENTRY_SIZE
            yield from self._use(f"the refcount block {index}", place, offset, 1)
        if l1_clusters:
            yield from self._use("the L1 table", 40, header.l1_table_offset, l1_clusters)

    def _tables(self) -> Iterator[Problem]:
        self._progress.begin(self._mapping.tables)
        done = 0
        for index, entry in self._mapping.l1_entries():
            structure, place = f"the L1 entry {index}", self._mapping.l1_place(index)
            if entry & TABLE_RESERVED_MASK:
                yield Problem(structure, f"{entry:#x}", "without reserved bits", place)
            yield from self._use(structure, place, entry & OFFSET_MASK, 1, entry)
            yield from self._table(index)
            self._progress.advance(index + 1 - done)
            done = index + 1
        self._progress.advance(self._mapping.tables - done)

    def _table(self, index: int) -> Iterator[Problem]:
        first = index * self._mapping.per_table
        end = min(first + self._mapping.per_table, -(-self._structures.header.size // self._size))
        try:
            for piece in self._mapping.pieces(first, end):
                for place, entry in enumerate(piece.entries):
                    if entry:
                        yield from self._entry(piece.first + place, entry)
                yield from self._bitmaps(piece)
        except DiskDamaged as error:
            yield _as_problem(error)

    def _entry(self, cluster: int, entry: int) -> Iterator[Problem]:
        structure, place = f"the L2 entry of cluster {cluster}", self._mapping.l2_place(cluster)
        if entry & COMPRESSED:
            yield from self._compressed(structure, place, entry)
            return
        reserved = L2_RESERVED_MASK | (ZERO if self._structures.extended else 0)
        if entry & reserved:
            yield Problem(structure, f"{entry:#x}", "without reserved bits", place)
        if entry & OFFSET_MASK:
            yield from self._use(structure, place, entry & OFFSET_MASK, 1, entry)

    def _compressed(self, structure: str, place: int, entry: int) -> Iterator[Problem]:
        offset, length = place_of(entry, self._structures.header.cluster_bits)
        first, last = offset // self._size, (offset + length - 1) // self._size
        if not offset or offset >= self._structures.length:
            yield Problem(structure, f"at {offset}", f"inside the file of {self._structures.length} bytes", place)
            return
        self._shared = self._shared or bytearray(len(self._taken))
        for cluster in range(first, min(last + 1, self._clusters)):
            if any_in_run(self._taken, cluster, cluster + 1) and not any_in_run(self._shared, cluster, cluster + 1):
                yield Problem(structure, f"on top of something else at {cluster * self._size}", "apart from it", place)
            elif not self._refcounts.count(cluster):
                yield self._uncounted(structure, place, cluster)
            set_run(self._taken, cluster, cluster + 1)
            set_run(self._shared, cluster, cluster + 1)

    def _bitmaps(self, piece: Piece) -> Iterator[Problem]:
        for place, bitmap in enumerate(piece.bitmaps):
            cluster, entry = piece.first + place, piece.entries[place]
            both = bitmap & bitmap >> 32 & ALL_ALLOCATED
            nowhere = bitmap & ALL_ALLOCATED and not entry & (OFFSET_MASK | COMPRESSED)
            if both or nowhere or (bitmap and entry & COMPRESSED):
                found, wanted = f"{bitmap:#018x}", "one that agrees with itself and with the entry"
                structure = f"the subcluster bitmap of cluster {cluster}"
                yield Problem(structure, found, wanted, self._mapping.l2_place(cluster) + ENTRY_SIZE)

    def _use(self, structure: str, place: int, offset: int, count: int, entry: int = COPIED) -> Iterator[Problem]:
        """Whether clusters are in the file, alone in their place, and counted; `entry` says whether they may be written."""
        first = offset // self._size
        if offset % self._size or first + count > self._clusters:
            wanted = f"a cluster's place in the file of {self._structures.length} bytes"
            yield Problem(structure, f"at {offset}", wanted, place)
            return
        for cluster in range(first, first + count):
            if any_in_run(self._taken, cluster, cluster + 1):
                yield Problem(structure, f"on top of something else at {cluster * self._size}", "alone there", place)
                continue
            set_run(self._taken, cluster, cluster + 1)
            yield from self._counted(structure, place, cluster, entry)

    def _counted(self, structure: str, place: int, cluster: int, entry: int) -> Iterator[Problem]:
        count = self._refcounts.count(cluster)
        if not count:
            yield self._uncounted(structure, place, cluster)
        elif bool(entry & COPIED) is not (count == 1) and not (entry == COPIED and self._snapshots):
            found = (
                f"{'' if entry & COPIED else 'not '}marked as the only use of a cluster that is counted {count} times"
            )
            yield Problem(structure, found, "marked so exactly when it is counted once", place)

    def _uncounted(self, structure: str, place: int, cluster: int) -> Problem:
        return Problem(structure, f"at {cluster * self._size}, where nothing is counted", "counted", place)


def _as_problem(error: DiskDamaged) -> Problem:
    return Problem(error.structure, str(error.found), str(error.wanted), error.offset)
