"""Lists: docker's tables, `--format` and `-q`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO

from ireko.cli.template import HEADER_FUNCTIONS, Template

_MINIMUM = 10
_GAP = 3

Item = dict[str, Any]
Fields = Mapping[str, tuple[str, Callable[[Item], object]]]
"""What a row has: field name to column title and how the value is found in the API's object."""


class Row(Mapping[str, object]):
    """One item of a list as a template sees it; a value is computed when it is asked for."""

    def __init__(self, fields: Fields, item: Item) -> None:
        self._fields = fields
        self._item = item

    def __getitem__(self, name: str) -> object:
        return self._fields[name][1](self._item)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Format:
    """`--format` after reading: `table`, `json`, `table COLUMNS` or a template; `default` holds the table's own columns."""

    def __init__(self, written: str, *, default: str) -> None:
        self.table = not written or written.startswith("table")
        columns = written.removeprefix("table") if self.table else written
        source = "{{json .}}" if written == "json" else columns.strip(" ") or default
        self._template = Template(source.replace("\\t", "\t").replace("\\n", "\n"))

    @property
    def fields(self) -> set[str]:
        """The fields it shows."""
        return self._template.fields()

    def write(self, out: TextIO, fields: Fields, items: Iterable[Item]) -> None:
        """Every item as a line; a table is written when all of it is known, because its columns depend on all of it."""
        lines = (self._template.render(Row(fields, item)) for item in items)
        if not self.table:
            out.writelines(f"{line}\n" for line in lines)
            return
        titles = {name: title for name, (title, _) in fields.items()}
        head = self._template.render(titles, functions=HEADER_FUNCTIONS)
        out.write(aligned("".join(f"{line}\n" for line in (head, *lines))))


def write_list(
    out: TextIO, fields: Fields, items: Iterable[Item], *, written: str, default: str, quiet: str = ""
) -> None:
    """A list as docker shows it. `quiet` is the template of -q, "" without it."""
    Format(quiet or written, default=default).write(out, fields, items)


def aligned(text: str, *, minimum: int = _MINIMUM, gap: int = _GAP) -> str:
    """Lines whose tabs become columns; lines that follow one another and have a column share its width."""
    rows = [line.split("\t") for line in text.split("\n")]
    columns = max(len(row) for row in rows) - 1
    for column in range(columns):
        for block in _blocks(rows, column):
            width = max(minimum, max(display_width(row[column]) for row in block) + gap)
            for row in block:
                row[column] += " " * (width - display_width(row[column]))
    return "\n".join("".join(row) for row in rows)


def _blocks(rows: list[list[str]], column: int) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    for row in rows:
        if len(row) - 1 > column:
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def display_width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def ellipsis(text: str, width: int) -> str:
    """The text, or its beginning and "…" when it takes more than that many columns."""
    if display_width(text) <= width:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += _width(character)
        if taken > width - 1:
            return f"{text[:position]}…"
    return text


def short_id(identifier: str, *, full: bool = False) -> str:
    """The twelve digits that tables show, or all of it."""
    return identifier if full else identifier.removeprefix("sha256:")[:12]


def joined_labels(labels: Mapping[str, str] | None) -> str:
    """`a=1,b=2`, sorted."""
    return ",".join(sorted(f"{key}={value}" for key, value in (labels or {}).items()))


def ask_label(item: Item) -> Callable[[str], str]:
    """What `{{.Label "name"}}` calls."""
    return lambda name: str((item.get("Labels") or {}).get(name, ""))
