"""Tables of numbers in files, as arrays: what is asked of a whole table is answered at the speed of the C library."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
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


def stretches(entries: array[int], first: int, step: int, *, short: int = _SHORT) -> Iterator[tuple[int, array[int]]]:
    """The entries, cut into stretches: all the same, each `step` more than the one before (unless 0), or a few of any kind.

    A few are `short` or less. `first` is the number of the first entry; with each stretch comes that of its first one. Where they
    change is found by halving, so that long stretches cost no more than a comparison of memory.
    """
    parts = [(0, len(entries))]
    while parts:
        low, high = parts.pop()
        piece = entries[low:high]
        if high - low <= short or all_equal(piece) or (step and all_following(piece, step)):
            yield first + low, piece
        else:
            middle = (low + high) // 2
            parts += [(middle, high), (low, middle)]


_LOOPED = 256
"""Entries that a loop is done with sooner than halving would be, where they change often."""


def runs(entries: array[int], first: int, step: int, rises: Callable[[int], bool]) -> Iterator[tuple[int, int, int]]:
    """Runs of entries that continue each other, as (number, count, first entry); neighbouring runs may do so too.

    `rises` tells of an entry how it is continued: by one that is `step` more, or by the same again. `first` is as in `stretches`.
    """
    for number, stretch in stretches(entries, first, step, short=_LOOPED):
        entry = stretch[0]
        if len(stretch) > 1 and (all_following(stretch, step) if rises(entry) else all_equal(stretch)):
            yield number, len(stretch), entry
        else:
            yield from _runs_one_by_one(stretch, number, step, rises)


def _runs_one_by_one(
    entries: array[int], first: int, step: int, rises: Callable[[int], bool]
) -> Iterator[tuple[int, int, int]]:
    begun, entry = 0, entries[0]
    wanted, rise = entry, step if rises(entry) else 0
    for place, found in enumerate(entries):
        if found != wanted:
            yield first + begun, place - begun, entry
            begun, entry = place, found
            wanted, rise = found, step if rises(found) else 0
        wanted += rise
    yield first + begun, len(entries) - begun, entry
