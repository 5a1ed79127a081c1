"""Tables of numbers in files, as arrays: what is asked of a whole table is answered at the speed of the C library."""

from __future__ import annotations

import sys
from array import array
from typing import Literal


def numbers(code: Literal["I", "Q"], data: bytes, order: Literal["little", "big"]) -> array[int]:
    """The numbers that stand in some bytes: 4 bytes each for "I", 8 for "Q"."""
    found = array(code, data)
    if sys.byteorder != order:
        found.byteswap()
    return found


def packed(table: array[int], order: Literal["little", "big"]) -> bytes:
    """The bytes of a table."""
    if sys.byteorder == order:
        return table.tobytes()
    swapped = table[:]
    swapped.byteswap()
    return swapped.tobytes()


def all_equal(entries: array[int]) -> bool:
    """Whether the entries are all the same."""
    return entries.tobytes() == entries[:1].tobytes() * len(entries)


def all_following(entries: array[int], step: int) -> bool:
    """Whether each entry is `step` more than the one before it: blocks that lie one after the other."""
    first, count = entries[0], len(entries)
    if entries[-1] != first + step * (count - 1) or first + step * count >= 1 << 64:
        return False
    return entries == array("Q", range(first, first + step * count, step))
