"""Runs of bits in bitmaps, found at the speed of the C library.

In both of these bitmaps a bit stands for a sector: VHDX counts from the lowest bit of a byte, VHD from the highest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_UNIFORM = (0, 0xFF)
_STRETCH = re.compile(rb"\x00+|\xff+|[^\x00\xff]+", re.DOTALL)
_LOWEST_FIRST = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def reverse_bits(bitmap: bytes) -> bytes:
    """The bitmap with the bits of each byte in the other order."""
    return bitmap.translate(_REVERSED)


def runs(bitmap: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The runs of equal bits from bit `start` to bit `end`, as (first, last + 1, value); the lowest bit of a byte comes first."""
    first, value = start, False
    for stretch in _STRETCH.finditer(bitmap, start // 8, -(-end // 8)):
        low = stretch.start()
        byte = bitmap[low]
        for place, bit in (
            ((low * 8, byte == 0xFF),) if byte in _UNIFORM else _changes(stretch.group(), low * 8, start, end)
        ):
            if bit is not value:
                if place > first:
                    yield first, place, value
                    first = place
                value = bit
    if end > first:
        yield first, end, value


def _changes(stretch: bytes, base: int, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """Where runs begin in bytes that have bits of both kinds, of which the first is bit `base`, with their values."""
    unpacked = b"".join(map(_LOWEST_FIRST.__getitem__, stretch))
    place, last = max(start - base, 0), min(end - base, len(unpacked))
    while place < last:
        bit = unpacked[place]
        yield base + place, bit == 1
        place = unpacked.find(b"\x01" if bit == 0 else b"\x00", place, last)
        if place < 0:
            return


def set_run(bitmap: bytearray, start: int, end: int) -> None:
    """Set the bits from `start` to `end`; the lowest bit of a byte comes first."""
    first, last = start // 8, end // 8
    if start >= end:
        return
    if first == last:
        bitmap[first] |= (1 << end % 8) - (1 << start % 8)
        return
    if start % 8:
        bitmap[first] |= 0x100 - (1 << start % 8)
        first += 1
    bitmap[first:last] = b"\xff" * (last - first)
    if end % 8:
        bitmap[last] |= (1 << end % 8) - 1


def any_in_run(bitmap: bytearray, start: int, end: int) -> bool:
    """Whether a bit from `start` to `end` is set."""
    if start >= end:
        return False
    piece = int.from_bytes(bitmap[start // 8 : -(-end // 8)], "little") >> start % 8
    return piece & ((1 << end - start) - 1) != 0
