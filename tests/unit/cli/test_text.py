"""Widths, tables, sizes and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.cli.render import aligned
from ireko.cli.text import display_width, ellipsis
from ireko.cli.units import binary_size, human_duration, human_size, parse_duration, parse_size, timestamp
from ireko.errors import InvalidInput

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
cells = st.text(st.characters(blacklist_categories=["C", "Z", "M"]), max_size=20)


@pytest.mark.parametrize(
    ("size", "digits", "shown"),
    [
        (0, 4, "0B"), (1, 4, "1B"), (999, 3, "999B"), (1000, 4, "1kB"), (1024, 4, "1.024kB"), (1234567, 3, "1.23MB"),
        (345678901, 4, "345.7MB"), (999_999, 3, "1e+03kB"), (1e27, 4, "1000YB"), (52428800, 4, "52.43MB"),
    ],
)  # fmt: skip
def test_human_size_is_go_units(size: float, digits: int, shown: str) -> None:
    assert human_size(size, digits=digits) == shown


@given(st.integers(0, 10**24))
def test_human_size_is_near_and_has_three_digits(size: int) -> None:
    shown = human_size(size, digits=3)
    number, unit = shown.rstrip("kMGTPEZYB"), shown.lstrip("0123456789.e+")
    factor = 1000 ** ("", "k", "M", "G", "T", "P", "E", "Z", "Y").index(unit.removesuffix("B"))
    assert abs(float(number) * factor - size) <= size * 0.005


def test_binary_size_counts_in_1024() -> None:
    assert binary_size(1 << 28) == "256MiB"
    assert binary_size(100_000_000) == "95.37MiB"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
        (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (5399, "About an hour"), (5400, "2 hours"),
        (86400 * 2 - 1801, "47 hours"), (86400 * 2, "2 days"), (86400 * 13, "13 days"), (86400 * 14, "2 weeks"),
        (86400 * 59, "8 weeks"), (86400 * 60, "2 months"), (86400 * 729, "24 months"), (86400 * 730, "2 years"),
    ],
)  # fmt: skip
def test_durations_are_go_units(seconds: float, words: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("text", "size"), [("512m", 1 << 29), ("1.5g", 3 << 29), ("64MB", 1 << 26), ("7", 7), ("2 GiB", 2 << 30)]
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "-1m", "1 2"])
def test_parse_size_says_what_is_wrong(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid size"):
        parse_size(text)


def test_timestamps_are_back_from_now_or_dates_or_numbers() -> None:
    assert parse_duration("1h30m") == timedelta(hours=1, minutes=30)
    assert parse_duration("abc") is None
    assert timestamp("10m", NOW) == f"{NOW.timestamp() - 600:.9f}"
    assert timestamp("2026-11-24T15:00:00Z", NOW) == f"{NOW.timestamp() - 3600:.9f}"
    assert timestamp("1795532645.5", NOW) == "1795532645.5"
    assert timestamp("", NOW) == ""
    with pytest.raises(InvalidInput):
        timestamp("yesterday", NOW)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6))
def test_columns_begin_at_the_same_place(rows: list[list[str]]) -> None:
    lines = aligned("\n".join("\t".join(row) for row in rows)).split("\n")
    assert len(lines) == len(rows)
    starts = set()
    for line, row in zip(lines, rows, strict=True):
        assert [cell for cell in line.split(" ") if cell] == [cell for cell in row if cell]
        starts.add(display_width(line) - display_width(row[-1]))
    assert len(starts) == 1
    assert starts.pop() >= 20


@given(cells, st.integers(2, 20))
def test_ellipsis_fits(text: str, width: int) -> None:
    shown = ellipsis(text, width)
    assert display_width(shown) <= width
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_wide_characters_take_two_columns() -> None:
    assert display_width("入れ子") == 6
    assert ellipsis("入れ子ab", 6) == "入れ…"
