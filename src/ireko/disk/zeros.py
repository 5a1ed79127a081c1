"""Zeros in what was read, found at the speed of the C library."""

from __future__ import annotations

from collections.abc import Iterator

UNIT = 4096
"""Bytes that are looked at together: what is all zeros in them counts as zeros."""
_ZEROS = bytes(UNIT)
_MANY = bytes(1 << 16)


def zero_runs(buffer: bytearray, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """What lies between two places of a buffer, in units from `start` on, as (start, end, whether it is zeros).

    A last unit that is not whole is looked at as it is.
    """
    first, place, value = start, start, False
    while place < end:
        zeros = _zeros_at(buffer, place, end)
        stop = zeros or min(place + UNIT, end)
        if bool(zeros) is not value:
            if place > first:
                yield first, place, value
            first, value = place, bool(zeros)
        place = stop
    if end > first:
        yield first, end, value


def _zeros_at(buffer: bytearray, place: int, end: int) -> int:
    """Where zeros end that begin at a place, or 0 when the unit there is not all zeros."""
    if place + len(_MANY) <= end and buffer.startswith(_MANY, place):
        return place + len(_MANY)
    if place + UNIT <= end:
        return place + UNIT if buffer.startswith(_ZEROS, place) else 0
    return end if buffer.startswith(_ZEROS[: end - place], place) else 0
