"""CRC-32C (Castagnoli), the checksum of VHDX.

What is checked on opening is small, or nearly all zeros (a region table: 64 KiB with two entries). So trailing zeros, over which
a CRC can be carried in a few steps, are set apart, and a table in Python does the rest as quickly as a library is loaded. For
logs, which are long, the library is used where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

_POLYNOMIAL = 0x82F63B78
_SHORT = 2048
_ZEROS = tuple(bytes(1 << power) for power in range(14, -1, -2))


def crc32c(data: bytes | bytearray | memoryview, *, skip: slice = slice(0)) -> int:
    """The checksum of some bytes; zeros count in place of those to skip."""
    body = _without_zeros(bytes(data))
    zeros = len(data) - len(body)
    if cut := body[skip]:
        body = body[: skip.start] + bytes(len(cut)) + body[skip.start + len(cut) :]
    state = _library()(body) ^ 0xFFFFFFFF if len(body) > _SHORT else _update(0xFFFFFFFF, body)
    return _apply(_zeros_of(zeros), state) ^ 0xFFFFFFFF


def crc32c_by_table(data: bytes) -> int:
    """The same, by the table alone."""
    return _update(0xFFFFFFFF, data) ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(_entry(value) for value in range(256))


def _update(state: int, data: bytes) -> int:
    table = _TABLE
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state


@cache
def _library() -> Callable[[bytes], int]:
    try:
        import google_crc32c
    except ImportError:
        return crc32c_by_table
    if google_crc32c.implementation != "c":
        return crc32c_by_table
    checksum: Callable[[bytes], int] = google_crc32c.value
    return checksum


def _without_zeros(data: bytes) -> bytes:
    """The data without its trailing zeros; many of them are compared at once."""
    end = len(data)
    for zeros in _ZEROS:
        while data.endswith(zeros, 0, end):
            end -= len(zeros)
    return data[:end]


@lru_cache(maxsize=64)
def _zeros_of(count: int) -> tuple[int, ...]:
    """What `count` zero bytes make of each single bit of the state: a linear map, squared for each bit of the count."""
    columns = tuple(1 << bit for bit in range(32))
    for power in range(count.bit_length()):
        if count >> power & 1:
            columns = tuple(_apply(_zeros_map(power), column) for column in columns)
    return columns


@cache
def _zeros_map(power: int) -> tuple[int, ...]:
    """What 2^power zero bytes make of each single bit of the state."""
    if power == 0:
        return tuple(_update(1 << bit, b"\0") for bit in range(32))
    half = _zeros_map(power - 1)
    return tuple(_apply(half, column) for column in half)


def _apply(columns: tuple[int, ...], state: int) -> int:
    result = 0
    while state:
        low = state & -state
        result ^= columns[low.bit_length() - 1]
        state ^= low
    return result
