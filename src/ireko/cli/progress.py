"""Lines of progress, as docker's pull streams them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ireko.cli.terminal import is_terminal, size
from ireko.cli.text import display_width, ellipsis
from ireko.cli.units import human_size

if TYPE_CHECKING:
    from ireko.client import Refused

_EVERY = 3.0  # seconds between plain lines about one step
_FEW = 6  # steps that each get a line of their own
_BRIEF = 1.0  # seconds below which a step is none of those that come after these
_WIDTH = 80
_BAR = 24
_LEAST_STEP = 12  # columns of a step's name that are worth more than a long account of how far it is


class Progress:
    """Shows steps: in place on a terminal, as plain lines every few seconds elsewhere.

    Where there are many, only those stay that take a while.
    """

    def __init__(self, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._live = is_terminal(out)
        self._step = ""
        self._shown = 0
        self._steps = 0
        self._last = 0.0

    def show(self, lines: Iterable[dict[str, Any]], *, quiet: bool = False) -> dict[str, Any]:
        """Show every line to the end, or with `quiet` none; all that the lines tell a program. Raises Refused for an error."""
        told: dict[str, Any] = {}
        try:
            for line in lines:
                if "error" in line or "errorDetail" in line:
                    raise _refused(line)
                told.update(line.get("aux") or {})
                if not quiet:
                    self._line(line)
        finally:
            self._end_line()
        return told

    def _line(self, line: dict[str, Any]) -> None:
        status = line.get("status") or line.get("stream", "").rstrip()
        if not status:
            return
        step = f"{line['id']}: {status}" if line.get("id") else status
        details = _details(line.get("progressDetail") or {})
        brief = bool(line.get("id")) and self._steps >= _FEW and self._clock() - self._last < _BRIEF
        if self._live:
            self._replace(step, details, brief=brief)
        else:
            self._append(step, details[0], brief=brief)

    def _replace(self, step: str, details: Sequence[str], *, brief: bool) -> None:
        if step != self._step:
            if not brief:
                self._end_line()
            self._begin(step)
        columns = (size(self._out) or (0, _WIDTH))[1]
        text = fitted(step, details, columns - 1)
        width = display_width(text)
        self._out.write(f"\r{text}{' ' * (self._shown - width)}")
        self._out.flush()
        self._shown = width

    def _append(self, step: str, detail: str, *, brief: bool) -> None:
        if brief or (step == self._step and self._clock() - self._last < _EVERY):
            return
        self._out.write(f"{step} {detail}".rstrip() + "\n")
        self._out.flush()
        self._begin(step)

    def _begin(self, step: str) -> None:
        self._step, self._last, self._steps = step, self._clock(), self._steps + 1

    def _end_line(self) -> None:
        if self._live and self._shown:
            self._out.write("\n")
            self._out.flush()
        self._step, self._shown = "", 0


def fitted(step: str, details: Sequence[str], columns: int) -> str:
    """What is done, and how far it is, in one line: the first of `details` that leaves room for the beginning of the step."""
    for detail in details:
        room = columns - display_width(detail) - 1
        if room >= min(display_width(step), _LEAST_STEP):
            return f"{ellipsis(step, room)} {detail}".rstrip()
    return ellipsis(step, columns)


def _details(detail: dict[str, Any]) -> tuple[str, ...]:
    """How far a step is, at length and briefly."""
    current, total = detail.get("current"), detail.get("total")
    if not current:
        return ("",)

    def written(count: int) -> str:
        return str(count) if detail.get("units") else human_size(count, digits=3)

    if not total:
        return (written(current),)
    return f"{bar(current, total)}  {written(current)}/{written(total)}", percent(current, total)


def bar(current: float, total: float) -> str:
    """How much is done: `[======      ]  50%`."""
    done = min(1.0, current / total)
    return f"[{'=' * int(done * _BAR):<{_BAR}}] {percent(current, total)}"


def percent(current: float, total: float) -> str:
    """How much is done, in four letters."""
    return f"{min(1.0, current / total):4.0%}"


def _refused(line: dict[str, Any]) -> Refused:
    from ireko.client import Refused

    detail = line.get("errorDetail") or {}
    message = detail.get("message") or line.get("error") or "it failed"
    return Refused(str(message), status=500, hint=str(detail.get("hint", line.get("hint", ""))))
