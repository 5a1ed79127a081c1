"""Bits against their plain versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ireko.disk.bits import any_in_run, reverse_bits, runs, set_run

bitmaps = st.lists(
    st.sampled_from([b"\x00" * 5, b"\xff" * 4, b"\x00", b"\xff", b"\x01", b"\x80", b"\xa5", b"\x7e"])
).map(b"".join)
any_bitmap = st.one_of(bitmaps, st.binary(max_size=40))


def bit(bitmap: bytes, place: int) -> bool:
    return bool(bitmap[place // 8] >> place % 8 & 1)


def plain_runs(bitmap: bytes, start: int, end: int) -> list[tuple[int, int, bool]]:
    found: list[tuple[int, int, bool]] = []
    for place in range(start, end):
        value = bit(bitmap, place)
        if found and found[-1][2] is value:
            found[-1] = found[-1][0], place + 1, value
        else:
            found.append((place, place + 1, value))
    return found


@given(any_bitmap, st.data())
def test_runs(bitmap: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(bitmap) * 8))
    end = data.draw(st.integers(start, len(bitmap) * 8))
    assert list(runs(bitmap, start, end)) == plain_runs(bitmap, start, end)


@given(any_bitmap, st.data())
def test_set_run(bitmap: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(bitmap) * 8))
    end = data.draw(st.integers(start, len(bitmap) * 8))
    changed = bytearray(bitmap)
    set_run(changed, start, end)
    wanted = [bit(bitmap, place) or start <= place < end for place in range(len(bitmap) * 8)]
    assert [bit(changed, place) for place in range(len(bitmap) * 8)] == wanted


@given(any_bitmap, st.data())
def test_any_in_run(bitmap: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(bitmap) * 8))
    end = data.draw(st.integers(start, len(bitmap) * 8))
    assert any_in_run(bytearray(bitmap), start, end) is any(bit(bitmap, place) for place in range(start, end))


@given(st.binary())
def test_reverse_bits(bitmap: bytes) -> None:
    assert reverse_bits(bitmap) == bytes(int(f"{byte:08b}"[::-1], 2) for byte in bitmap)
