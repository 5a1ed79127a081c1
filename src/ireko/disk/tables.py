"""Tables of numbers in files, as arrays: what is asked of a whole table is answered at the speed of the C library."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import Literal


def in_order(table: array[int], order: Literal["little", "big"]) -> None:
    """Make numbers of what was read from a file as it is, in the file's byte order."""
    if sys.byteorder != order:
        table.byteswap()


def packed(table: array[int], order: Literal["little", "big"]) -> bytes:
    """The bytes of a table."""
    if sys.byteorder == order:
        return table.tobytes()
    swapped = table[:]
    swapped.byteswap()
    return swapped.tobytes()


def all_equal(entries: array[int]) -> bool:
    """Whether the entries are all the same."""
    return entries[0] == entries[-1] and entries.tobytes() == entries[:1].tobytes() * len(entries)


def all_following(entries: array[int], step: int) -> bool:
    """Whether each entry is `step` more than the one before it: blocks that lie one after the other."""
    first, count = entries[0], len(entries)
    if entries[-1] != first + step * (count - 1):
        return False
    return entries == array(entries.typecode, range(first, first + step * count, step))


_SHORT = 8


def stretches(entries: array[int], first: int, step: int) -> Iterator[tuple[int, array[int]]]:
    """The entries, cut into stretches: all the same, each `step` more than the one before (unless 0), or a few of any kind.

    `first` is the number of the first entry; with each stretch comes that of its first one. Where they change is found by
    halving, so that long stretches cost no more than a comparison of memory.
    """
    parts = [(0, len(entries))]
    while parts:
        low, high = parts.pop()
        piece = entries[low:high]
        if high - low <= _SHORT or all_equal(piece) or (step and all_following(piece, step)):
            yield first + low, piece
        else:
            middle = (low + high) // 2
            parts += [(middle, high), (low, middle)]
