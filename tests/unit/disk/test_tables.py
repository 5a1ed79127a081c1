"""What is said of whole tables at once against what a loop says."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ireko.disk.tables import all_equal, all_following, stretches

STEP = 1 << 20
runs = st.one_of(
    st.tuples(st.integers(0, 7), st.integers(1, 40)).map(lambda each: [each[0]] * each[1]),
    st.tuples(st.integers(0, 9), st.integers(1, 40)).map(
        lambda each: [each[0] * STEP + n * STEP for n in range(each[1])]
    ),
    st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=5),
)
tables = st.lists(runs, min_size=1, max_size=6).map(lambda each: array("Q", [one for run in each for one in run]))


@given(tables)
def test_all_equal(table: array[int]) -> None:
    assert all_equal(table) is (len(set(table)) == 1)


@given(tables)
def test_all_following(table: array[int]) -> None:
    assert all_following(table, STEP) is all(after == before + STEP for before, after in pairwise(table))


@given(tables, st.integers(0, 99), st.sampled_from([0, STEP]))
def test_stretches(table: array[int], first: int, step: int) -> None:
    found = list(stretches(table, first, step))
    assert [one for _, piece in found for one in piece] == list(table)
    place = first
    for start, piece in found:
        assert start == place
        assert len(piece) <= 8 or all_equal(piece) or (step > 0 and all_following(piece, step))
        place += len(piece)
