"""Lists: docker's tables, `--format` and `-q`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ireko.cli.text import display_width

if TYPE_CHECKING:
    from ireko.cli.template import Template

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
    """`--format` after reading: `table`, `json`, `table COLUMNS` or a template; `default` names the table's own columns."""

    def __init__(self, written: str, *, default: Sequence[str]) -> None:
        self.table = not written or written.startswith("table")
        columns = (written.removeprefix("table") if self.table else written).strip(" ")
        self._columns = default
        self._template: Template | None = None
        if columns:
            # Only now, because a plain list needs no template and is to be there at once.
            from ireko.cli.template import Template

            source = "{{json .}}" if columns == "json" and not self.table else columns
            self._template = Template(source.replace("\\t", "\t").replace("\\n", "\n"))

    @property
    def fields(self) -> set[str]:
        """The fields it shows."""
        return set(self._columns) if self._template is None else self._template.fields()

    def write(self, out: TextIO, fields: Fields, items: Iterable[Item]) -> None:
        """Every item as a line; a table is written when all of it is known, because its columns depend on all of it."""
        lines = (self._line(Row(fields, item)) for item in items)
        if not self.table:
            out.writelines(f"{line}\n" for line in lines)
            return
        out.write(aligned("".join(f"{line}\n" for line in (self._head(fields), *lines))))

    def _line(self, row: Row) -> str:
        if self._template is None:
            return "\t".join(str(row[name]) for name in self._columns)
        return self._template.render(row)

    def _head(self, fields: Fields) -> str:
        if self._template is None:
            return "\t".join(fields[name][0] for name in self._columns)

        from ireko.cli.template import HEADER_FUNCTIONS

        return self._template.render({name: title for name, (title, _) in fields.items()}, functions=HEADER_FUNCTIONS)


def write_list(
    out: TextIO, fields: Fields, items: Iterable[Item], *, written: str, default: Sequence[str], quiet: str = ""
) -> None:
    """A list as docker shows it. `quiet` is the one field that -q shows, "" without it."""
    if quiet:
        out.writelines(f"{fields[quiet][1](item)}\n" for item in items)
    else:
        Format(written, default=default).write(out, fields, items)


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


def short_id(identifier: str, *, full: bool = False) -> str:
    """The twelve digits that tables show, or all of it."""
    return identifier if full else identifier.removeprefix("sha256:")[:12]


def joined_labels(labels: Mapping[str, str] | None) -> str:
    """`a=1,b=2`, sorted."""
    return ",".join(sorted(f"{key}={value}" for key, value in (labels or {}).items()))


def ask_label(item: Item) -> Callable[[str], str]:
    """What `{{.Label "name"}}` calls."""
    return lambda name: str((item.get("Labels") or {}).get(name, ""))
