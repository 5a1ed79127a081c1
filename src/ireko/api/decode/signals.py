"""Signals by name or number. The guests are Linux, so the numbers are Linux's, whatever the host is."""

from __future__ import annotations

import re

from ireko.api.decode.numbers import whole
from ireko.errors import InvalidInput

_NAMES = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
]  # fmt: skip
_NUMBERS = {name: number for number, name in enumerate(_NAMES, start=1)} | {"IOT": 6, "CLD": 17, "POLL": 29}
_REAL_TIME = re.compile(r"RT(MIN|MAX)([+-][0-9]{1,2})?")
_FIRST_REAL_TIME, _LAST = 34, 64


def signal_number(written: str) -> int | None:
    """`KILL`, `SIGKILL`, `9`, `RTMIN+1`; None when nothing is written. Raises InvalidInput."""
    if not written:
        return None
    number = _number(written.upper().removeprefix("SIG"))
    if number is None or not 1 <= number <= _LAST:
        raise InvalidInput(f"Invalid signal: {written}", hint="for example TERM, KILL or 15")
    return number


def _number(name: str) -> int | None:
    if name.isdigit():
        return whole(name, _LAST)
    if match := _REAL_TIME.fullmatch(name):
        return (_FIRST_REAL_TIME if match[1] == "MIN" else _LAST) + int(match[2] or 0)
    return _NUMBERS.get(name)
