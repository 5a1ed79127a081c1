"""The two tables of a qcow2 file that say where each cluster is, read a piece at a time."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from ireko.disk.errors import DiskDamaged
from ireko.disk.qcow2.opening import Structures
from ireko.disk.qcow2.structure import ENTRY_SIZE, OFFSET_MASK
from ireko.disk.tables import in_order

_PAGE = 8192  # entries of the L1 table
_PAGES_KEPT = 16
_L2_KEPT = 16 << 20  # bytes


class Piece(NamedTuple):
    """Clusters that stand in one L2 table, or in none: then `entries` is empty, and nothing of them is here.

    `bitmaps` are the second halves of extended entries; empty in a file without subclusters.
    """

    first: int
    clusters: int
    entries: array[int]
    bitmaps: array[int]


def numbers(data: bytes) -> array[int]:
    """The numbers of a table in the file."""
    table = array("Q", data)
    in_order(table, "big")
    return table


_NOTHING: array[int] = array("Q")
_WORDS = re.compile(rb"(?:\x00{8})+|.{8}", re.DOTALL)


def _not_zero(entries: array[int]) -> list[int]:
    """Which entries are not 0."""
    starts = (run.start() // ENTRY_SIZE for run in _WORDS.finditer(entries.tobytes()))
    return [place for place in starts if entries[place]]


class Mapping:
    """The tables of one file. Raises DiskDamaged for entries that can't be used."""

    def __init__(self, structures: Structures) -> None:
        self._structures = structures
        self._file = structures.file
        self.per_table = structures.l2_entries
        self._pages: dict[int, array[int]] = {}
        self._used: dict[int, list[int]] = {}  # of each page, which entries are not 0
        self._tables: dict[int, array[int]] = {}
        self._kept = max(2, _L2_KEPT >> structures.header.cluster_bits)
        covered = structures.cluster_size * self.per_table
        self.tables = -(-structures.header.size // covered)

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """The clusters `start` to `end`."""
        while start < end:
            number, place = divmod(start, self.per_table)
            page, index = divmod(number, _PAGE)
            entries = self._page(page)
            if not entries[index]:
                count = min(end - start, self._absent(page, index) * self.per_table - place)
                yield Piece(start, count, _NOTHING, _NOTHING)
            else:
                count = min(end - start, self.per_table - place)
                yield self._piece(start, count, self._table(number, entries[index]), place)
            start += count

    def entry(self, cluster: int) -> int:
        """The L2 entry of a cluster, 0 when there is none."""
        piece = next(self.pieces(cluster, cluster + 1))
        return piece.entries[0] if piece.entries else 0

    def l1_entries(self) -> Iterator[tuple[int, int]]:
        """All that are not 0, as (index, entry)."""
        for page in range(-(-self.tables // _PAGE)):
            entries = self._page(page)
            yield from [(page * _PAGE + place, entries[place]) for place in self._used[page]]

    def l1_place(self, index: int) -> int:
        """The offset of an L1 entry in the file."""
        return self._structures.header.l1_table_offset + index * ENTRY_SIZE

    def l2_place(self, cluster: int) -> int:
        """The offset of a cluster's L2 entry in the file."""
        number, place = divmod(cluster, self.per_table)
        offset = self._page(number // _PAGE)[number % _PAGE] & OFFSET_MASK
        return offset + place * ENTRY_SIZE * self._structures.entry_words

    def _piece(self, start: int, count: int, table: array[int], place: int) -> Piece:
        if not self._structures.extended:
            return Piece(start, count, table[place : place + count], _NOTHING)
        first, last = place * 2, (place + count) * 2
        return Piece(start, count, table[first:last:2], table[first + 1 : last : 2])

    def _absent(self, page: int, index: int) -> int:
        """How many entries of a page from an index on are 0."""
        used = self._used[page]
        place = bisect_left(used, index)
        stop = used[place] if place < len(used) else len(self._pages[page])
        return stop - index

    def _page(self, number: int) -> array[int]:
        if (page := self._pages.get(number)) is not None:
            return page
        first = number * _PAGE
        count = min(_PAGE, self.tables - first)
        page = numbers(self._file.read_exactly(self.l1_place(first), count * ENTRY_SIZE, "the L1 table"))
        if len(self._pages) >= _PAGES_KEPT:
            self._pages.clear()
            self._used.clear()
        self._pages[number] = page
        self._used[number] = _not_zero(page)
        return page

    def _table(self, number: int, entry: int) -> array[int]:
        if (table := self._tables.get(number)) is not None:
            return table
        size, offset = self._structures.cluster_size, entry & OFFSET_MASK
        if not offset or offset % size or offset + size > self._structures.length:
            wanted = f"a cluster's in the file of {self._structures.length} bytes"
            structure = f"the L1 entry {number}"
            raise DiskDamaged(
                self._file.path, structure, offset=self.l1_place(number), found=f"at {offset}", wanted=wanted
            )
        table = numbers(self._file.read_exactly(offset, size, f"the L2 table {number}"))
        if len(self._tables) >= self._kept:
            self._tables.clear()
        self._tables[number] = table
        return table
