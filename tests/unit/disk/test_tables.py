"""What is said of whole tables at once against what a loop says."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ireko.disk.tables import all_equal, all_following, runs, stretches

STEP = 1 << 20
parts = st.one_of(
    st.tuples(st.integers(0, 7), st.integers(1, 40)).map(lambda each: [each[0]] * each[1]),
    st.tuples(st.integers(0, 9), st.integers(1, 40)).map(
        lambda each: [each[0] * STEP + n * STEP for n in range(each[1])]
    ),
    st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=5),
)
tables = st.lists(parts, min_size=1, max_size=6).map(lambda each: array("Q", [one for run in each for one in run]))


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


@given(st.lists(tables, min_size=1, max_size=30), st.integers(0, 99))
def test_runs(given_tables: list[array[int]], first: int) -> None:
    """Entries of 3 MiB and more go on with the next MiB, smaller ones with the same again."""
    table = array("Q", [one for each in given_tables for one in each])
    place = first
    for start, count, entry in runs(table, first, STEP, lambda entry: entry >= 3 * STEP):
        assert start == place
        assert count > 0
        rise = STEP if entry >= 3 * STEP else 0
        assert list(table[place - first : place - first + count]) == [entry + n * rise for n in range(count)]
        place += count
    assert place == first + len(table)


def test_runs_are_as_long_as_they_can_be_between_halves() -> None:
    table = array("Q", [0] * 5000 + [STEP * n for n in range(3, 3000)] + [1, 2, 3] * 100)
    found = list(runs(table, 0, STEP, lambda entry: entry >= STEP))
    assert len(found) < 300 + 60
