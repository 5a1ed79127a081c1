"""CRC-32C against a bit-by-bit version and the published check value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.disk.vhdx.crc32c import crc32c, crc32c_by_table


def bit_by_bit(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        for number in range(8):
            low = (state ^ byte >> number) & 1
            state = state >> 1 ^ (0x82F63B78 if low else 0)
    return state ^ 0xFFFFFFFF


def test_the_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@given(st.binary(max_size=64), st.integers(0, 9000))
def test_zeros_at_the_end(body: bytes, zeros: int) -> None:
    assert crc32c(body + bytes(zeros)) == crc32c_by_table(body + bytes(zeros))


@given(st.binary(max_size=64))
def test_short(data: bytes) -> None:
    assert crc32c(data) == bit_by_bit(data)


@pytest.mark.parametrize("length", [2048, 2049, 9000])
def test_long(length: int) -> None:
    data = bytes(number * 7 % 251 for number in range(length))
    assert crc32c(data) == crc32c_by_table(data)
