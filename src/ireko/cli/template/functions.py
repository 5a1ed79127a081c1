"""The functions a template can call, and how Go writes values."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus

from ireko.cli.template.lexer import TemplateError
from ireko.cli.text import quote

_VERB = re.compile(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Missing:
    """A field that is not there: false in a condition, an error anywhere else."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False


def text(value: object) -> str:
    """A value as Go's %v writes it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case Mapping():
            return f"map[{' '.join(f'{key}:{text(value[key])}' for key in sorted(value))}]"
        case list() | tuple():
            return f"[{' '.join(map(text, value))}]"
    return str(value)


def _float(value: float) -> str:
    """The shortest digits, with an exponent from 1e+21 on and below 1e-04."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if 1e-4 <= abs(value) < 1e21:
        from decimal import Decimal

        return format(Decimal(repr(value)), "f")
    return repr(value)


def to_json(value: object) -> str:
    """Compact JSON; computed fields are sorted by name, and their <, > and & are escaped, as Go does."""
    if isinstance(value, Mapping) and not isinstance(value, dict):
        plain = {key: value[key] for key in sorted(value) if not callable(value[key])}
        dumped = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return re.sub("[<>&\u2028\u2029]", lambda match: _HTML[match[0]], dumped)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: value[key] for key in sorted(value) if not callable(value[key])}
    if isinstance(value, Sequence):
        return list(value)
    raise TemplateError(f"template parsing error: a {type(value).__name__} is no JSON")


def _printf(form: str, *values: object) -> str:
    rest = list(values)

    def replace(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        shown = _verb(verb, rest.pop(0), flags, precision)
        if not width:
            return shown
        return shown.ljust(int(width)) if "-" in flags else shown.rjust(int(width), "0" if "0" in flags else " ")

    return _VERB.sub(replace, str(form))


def _verb(verb: str, value: object, flags: str, precision: str | None) -> str:
    if verb in "feg" and isinstance(value, int | float):
        return format(float(value), f".{precision or (6 if verb != 'g' else 15)}{verb}")
    if verb in "xXobc" and isinstance(value, int):
        return format(value, verb)
    if verb == "x" and isinstance(value, str):
        return value.encode().hex()
    if verb == "q":
        return quote(text(value))
    shown = text(value)
    if verb == "d" and "+" in flags and isinstance(value, int) and value >= 0:
        shown = f"+{shown}"
    return shown[: int(precision)] if precision and verb in "sv" else shown


def _index(value: Any, *keys: Any) -> object:
    for key in keys:
        try:
            value = value.get(key, _zero(value)) if isinstance(value, dict) else value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise TemplateError(f"template: error calling index: {text(key)} is not in {text(value)}") from error
    return value


def _zero(values: dict[str, Any]) -> object:
    """What Go finds under a key that is not there: a map of strings, which an empty one may be, has empty strings."""
    return "" if all(isinstance(value, str) for value in values.values()) else None


def _slice(value: Any, start: int = 0, end: int | None = None) -> object:
    return value[start:end]


def _join(values: Any, separator: str) -> str:
    if values is None:
        return ""
    if isinstance(values, Mapping):
        return separator.join(sorted(text(value) for value in values.values()))
    if isinstance(values, str):
        raise TemplateError("template: error calling join: expected slice, got string")
    return separator.join(map(text, values))


def _length(value: Any) -> int:
    if value is None:
        raise TemplateError("template: error calling len: len of nil pointer")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _print(*values: object) -> str:
    """Spaces between operands where neither is a string."""
    shown = ""
    for position, value in enumerate(values):
        apart = position and not isinstance(value, str) and not isinstance(values[position - 1], str)
        shown += (" " if apart else "") + text(value)
    return shown


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"template: wrong type for value; expected string; got {text(value)}")
    return value


def _title(value: str) -> str:
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), value)


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def compare(left: object, right: object) -> bool:
        try:
            return test(left, right)
        except TypeError as error:
            raise TemplateError("template: incompatible types for comparison") from error

    return compare


FUNCTIONS: dict[str, Callable[..., object]] = {
    "json": to_json,
    "split": lambda value, separator: _string(value).split(separator),
    "join": _join,
    "title": lambda value: _title(_string(value)),
    "lower": lambda value: _string(value).lower(),
    "upper": lambda value: _string(value).upper(),
    "pad": lambda value, before, after: " " * before + value + " " * after if value else value,
    "truncate": lambda value, length: _string(value)[:length],
    "len": _length,
    "index": _index,
    "slice": _slice,
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda left, right: left != right,
    "lt": _compare(lambda left, right: left < right),
    "le": _compare(lambda left, right: left <= right),
    "gt": _compare(lambda left, right: left > right),
    "ge": _compare(lambda left, right: left >= right),
    "print": _print,
    "println": lambda *values: " ".join(map(text, values)) + "\n",
    "printf": _printf,
    "html": lambda *values: html.escape(_print(*values)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "urlquery": lambda *values: quote_plus(_print(*values)),
}
"""`and` and `or` are missing here: the evaluator does them, because they stop early."""

HEADER_FUNCTIONS = FUNCTIONS | {
    name: lambda value, *_: value for name in ("json", "split", "join", "title", "lower", "upper", "truncate")
}
"""For a table's first line: a column keeps its name whatever is done to its values."""
