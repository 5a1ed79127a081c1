"""Progress: what is shown of steps, on a terminal and elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterable

from ireko.cli.progress import Progress

Line = dict[str, object]


def step(text: str, current: int | None = None) -> Line:
    detail = {} if current is None else {"current": current, "total": 10, "units": "steps"}
    return {"id": "check", "status": text, "progressDetail": detail}


def shown(lines: Iterable[Line], *, pause: float, terminal: bool = False) -> str:
    """What is written when `pause` seconds pass from one line to the next."""
    out, now = Screen() if terminal else io.StringIO(), 0.0

    def passing() -> Iterable[Line]:
        nonlocal now
        for line in lines:
            now += pause
            yield line

    Progress(out, clock=lambda: now).show(passing())
    return out.getvalue()


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_few_steps_have_a_line_each() -> None:
    assert shown([step("reading"), step("writing")], pause=0.001) == "check: reading\ncheck: writing\n"


def test_of_many_steps_those_are_left_out_that_take_no_time() -> None:
    lines = [step(f"layer {number}") for number in range(100)]
    written = shown([*lines, {"status": "all is well"}], pause=0.1).splitlines()
    assert len(written) < 25
    assert written[-1] == "all is well"
    assert len(shown(lines, pause=2).splitlines()) == 100


def test_on_a_terminal_they_follow_one_another_in_one_line() -> None:
    lines = [step(f"layer {number}") for number in range(100)]
    written = shown([*lines, {"status": "all is well"}], pause=0.001, terminal=True).split("\n")
    assert len(written) < 10
    assert "check: layer 99" in written[-3]
    assert written[-2:] == ["\rall is well", ""]


def test_a_long_step_is_told_of_again_and_again() -> None:
    written = shown([step("writing", done) for done in range(1, 11)], pause=1).splitlines()
    assert len(written) == 4
    assert "40%" in written[1]
