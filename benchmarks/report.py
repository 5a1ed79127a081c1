"""How figures are shown: a line for each, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from benchmarks.figure import Figure, Measured

_WIDTHS = (16, 14, 20, 7, 20)


def heading() -> str:
    """The names of the columns."""
    return _row("figure", "ours", "peer or limit", "ratio", "goal", "")


def line(measured: Measured) -> str:
    """One figure, with its notes below."""
    figure = measured.figure
    kind = "limit" if figure.goal.limit is not None else "peer"
    ratio = "-" if measured.ratio is None else f"{measured.ratio:.2f}"
    first = _row(
        figure.name,
        _amount(measured.value, figure.unit),
        f"{_amount(measured.other, figure.unit)} {kind}",
        ratio,
        figure.goal.text(figure.unit),
        "ok" if measured.met else "short",
    )
    return "\n".join([first, *(f"    {note}" for note in measured.notes)])


def as_json(all_measured: Iterable[Measured]) -> str:
    """Everything that was measured, every value included."""
    return json.dumps([_object(each) for each in all_measured], indent=2)


def listing(figures: Iterable[Figure]) -> str:
    """What can be measured."""
    return "\n".join(f"{each.name:<{_WIDTHS[0]}}  {each.about}" for each in figures)


def _object(measured: Measured) -> dict[str, object]:
    figure = measured.figure
    return {
        "name": figure.name,
        "about": figure.about,
        "unit": figure.unit,
        "ours": measured.value,
        "other": measured.other,
        "other_is": "limit" if figure.goal.limit is not None else "peer",
        "ratio": measured.ratio,
        "goal": figure.goal.text(figure.unit),
        "ok": measured.met,
        "notes": measured.notes,
        "values": measured.ours,
        "peer_values": measured.peer,
    }


def _amount(value: float, unit: str) -> str:
    digits = 0 if value >= 1000 or value == int(value) else 1
    return f"{value:.{digits}f} {unit}"


def _row(name: str, ours: str, other: str, ratio: str, goal: str, verdict: str) -> str:
    texts = (name, ours, other, ratio, goal)
    aligned = [f"{texts[0]:<{_WIDTHS[0]}}"]
    aligned += [f"{text:>{width}}" for text, width in zip(texts[1:], _WIDTHS[1:], strict=True)]
    return "  ".join([*aligned, verdict]).rstrip()
