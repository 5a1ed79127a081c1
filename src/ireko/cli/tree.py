"""`tree`: layers, images and containers, each inside what it stands on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from ireko.cli.group import verb
from ireko.cli.render import Item, short_id
from ireko.cli.session import Session, pass_session
from ireko.cli.text import display_width
from ireko.cli.units import human_size
from ireko.errors import InvalidInput

_GAP = 3


@verb("tree")
@click.option("--format", "written", default="", metavar="FORMAT", help="json shows what a program can read.")
@click.option("--no-trunc", "full", is_flag=True, help="Shorten nothing.")
@pass_session
def tree(session: Session, *, written: str, full: bool) -> None:
    """Show layers, images and containers as a tree.

    What stands under a layer is stored as the difference from it.
    """
    if written not in {"", "json"}:
        raise InvalidInput(f'"{written}" is no format of tree', hint="--format json")
    nodes = session.client.system.tree()
    if written == "json":
        session.line(json.dumps(nodes, ensure_ascii=False))
        return
    rows = [row for node in nodes for row in _rows(node, "", "", full=full)]
    widths = [max((display_width(row[column]) for row in rows), default=0) + _GAP for column in range(2)]
    for row in rows:
        padded = "".join(text + " " * (width - display_width(text)) for text, width in zip(row, widths, strict=False))
        session.line((padded + row[2]).rstrip())


def _rows(node: Item, lead: str, below: str, *, full: bool) -> Iterator[tuple[str, str, str]]:
    """Label, size and state of a node and of everything in it; `lead` and `below` are the branches drawn before them."""
    yield f"{lead}{_label(node, full=full)}", _size(node), node.get("Status") or ""
    children = node.get("Children") or []
    for position, child in enumerate(children, start=1):
        last = position == len(children)
        yield from _rows(child, f"{below}{'└─ ' if last else '├─ '}", f"{below}{'   ' if last else '│  '}", full=full)


def _label(node: Item, *, full: bool) -> str:
    names = ", ".join(name.removeprefix("/") for name in node.get("Names") or [])
    return f"{node['Kind']} {names or short_id(node['Id'], full=full)}"


def _size(node: Item) -> str:
    return "" if node["Kind"] == "image" and not node.get("Size") else human_size(node.get("Size") or 0, digits=3)
