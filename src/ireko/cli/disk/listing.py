"""What is listed about disks: as a table, as JSON with plain numbers, or with a template."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from ireko.cli.render import Fields, Format, Item
from ireko.cli.session import Session
from ireko.cli.text import printable

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def write(session: Session, fields: Fields, items: Iterable[Item], *, written: str, default: Sequence[str]) -> None:
    """Every item as a line. An item has plain values under the names that templates use; `fields` adds those for people."""
    if written == "json":
        for item in items:
            session.line(_JSON.encode(item))
    else:
        Format(written, default=default).write(session.out, fields, items)


def plain(**titles: str) -> Fields:
    """Fields that are shown as they are, by their names in the item; None as "-", text so that it steers no terminal."""
    return {name: (title, _value_of(name)) for name, title in titles.items()}


def _value_of(name: str) -> Callable[[Item], object]:
    return lambda item: _shown(item[name])


def _shown(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    return "-" if value is None else value
