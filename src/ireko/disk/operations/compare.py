"""Whether two disks show the same."""

from __future__ import annotations

from ireko.disk.base import Progress
from ireko.disk.pairs import SideBySide, are_equal, first_unequal
from ireko.disk.view import View


def first_difference(one: View, other: View, progress: Progress) -> int | None:
    """The offset of the first byte where two disks show different content; None when there is none.

    Behind its end a disk shows zeros, so that disks of different sizes can be alike: who minds compares the sizes too. Data is
    read only where it could differ: not where both have zeros, nor where both have the same place of one file. Raises what
    reading raises, and Cancelled.
    """
    size = max(one.size, other.size)
    progress.begin(size)
    both = SideBySide(one, other)
    for pair in both.pairs(0, size):
        if both.alike(pair):
            progress.advance(pair[0].length)
            continue
        for offset, count, left, right in both.contents(pair):
            if not are_equal(left, right, count):
                return offset + first_unequal(left, right, count)
            progress.advance(count)
    return None
