"""`disk check`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click

from ireko.cli.disk.arguments import (
    each,
    parent_folders,
    quiet_flag,
    some_files,
    source_format,
    within,
    written_format,
)  # fmt: skip
from ireko.cli.disk.listing import plain, write
from ireko.cli.disk.working import working
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.disk.base import Problem, Progress
from ireko.disk.chain import Chain, check_chain, open_chain
from ireko.disk.errors import DiskError
from ireko.disk.formats import open_layer

_MOST = 1000
"""Problems of one disk that are told; a damaged table may have millions."""
_TABLE = ("File", "State", "Depth", "Count")
_FIELDS: Fields = {
    **plain(File="FILE", Sound="SOUND", Deep="DEEP", Layers="LAYERS", Dirty="DIRTY", Problems="PROBLEMS", More="MORE"),
    "State": ("STATE", lambda item: "sound" if item["Sound"] else "damaged"),
    "Depth": ("LAYERS", lambda item: len(item["Layers"])),
    "Count": ("PROBLEMS", lambda item: f"{len(item['Problems'])}{'+' if item['More'] else ''}"),
}


@verb("check", example="ireko disk check web.vhdx\nireko disk check --deep --parents /srv/bases web.vhdx")
@click.option("--deep", is_flag=True, help="Read all data too, and compare it with the seals that there are.")
@written_format
@source_format
@parent_folders
@quiet_flag
@some_files
@pass_session
def check(
    session: Session, *, deep: bool, written: str, source: str | None, folders: tuple[Path, ...], quiet: bool,
    files: tuple[Path, ...],
) -> int:  # fmt: skip
    """Look for what is wrong with disks and all that they stand on.

    Every link of the chain and every structure of each of its files is looked at. The exit code is 1 when something is
    wrong.
    """

    def look(file: Path) -> bool:
        with working(session, f"checking {file}", quiet=quiet) as progress:
            item = _check(file, within(file, folders), source or "", progress, deep=deep)
        if written:
            items.append(item)
        else:
            _tell(session, item, quiet=quiet)
        return bool(item["Sound"])

    items: list[Item] = []
    code = each(session, files, look)
    if written:
        write(session, _FIELDS, items, written=written, default=_TABLE)
    return code


def _check(file: Path, folders: tuple[Path, ...], source: str, progress: Progress, *, deep: bool) -> Item:
    """What was found. Raises what is no fault of a disk: that there is no such file, or none that may be read."""
    try:
        with open_chain(file, within=folders, format_name=source) as chain:
            return _item(file, chain, list(_first(check_chain(chain, progress, deep=deep))), deep=deep)
    except DiskError as error:
        return _broken(file, source, error, progress, deep=deep)


def _broken(file: Path, source: str, error: DiskError, progress: Progress, *, deep: bool) -> Item:
    """The link that is broken, and what else is wrong with the file itself."""
    first = _problem(error.path, Problem(error.structure, str(error.found), str(error.wanted), error.offset))
    problems = [{**first, "Hint": error.hint}]
    try:
        with Chain([open_layer(file, format_name=source)]) as alone:
            item = _item(file, alone, list(_first(check_chain(alone, progress))), deep=deep)
    except DiskError:
        return {
            "File": str(file),
            "Sound": False,
            "Deep": deep,
            "Layers": [],
            "Dirty": False,
            "Problems": problems,
            "More": False,
        }
    return {**item, "Sound": False, "Problems": problems + item["Problems"]}


def _first(found: Iterator[tuple[Path, Problem]]) -> Iterator[tuple[Path, Problem]]:
    return itertools.islice(found, _MOST + 1)


def _item(file: Path, chain: Chain, found: list[tuple[Path, Problem]], *, deep: bool) -> Item:
    return {
        "File": str(file),
        "Sound": not found,
        "Deep": deep,
        "Layers": [str(layer.info.path) for layer in chain.layers],
        "Dirty": any(layer.info.dirty for layer in chain.layers),
        "Problems": [_problem(path, problem) for path, problem in found[:_MOST]],
        "More": len(found) > _MOST,
    }


def _problem(path: Path, problem: Problem) -> Item:
    return {
        "File": str(path),
        "Structure": problem.structure,
        "Offset": problem.offset,
        "Found": problem.found,
        "Wanted": problem.wanted,
        "Hint": "",
    }


def _tell(session: Session, item: Item, *, quiet: bool) -> None:
    """What is wrong, a line for each, and a last line about all of it."""
    for each_ in item["Problems"]:
        place = "" if each_["Offset"] is None else f" at offset {each_['Offset']}"
        text = f"{each_['File']}: {each_['Structure']}{place} is {each_['Found']}, it must be {each_['Wanted']}"
        session.line(printable(text))
        if each_["Hint"]:
            session.line(printable(f"hint: {each_['Hint']}"))
    if not quiet:
        session.line(printable(f"{item['File']}: {_verdict(item)}"))
    session.out.flush()


def _verdict(item: Item) -> str:
    count = len(item["Problems"])
    problems = f"more than {count}" if item["More"] else str(count or "no")
    depth = len(item["Layers"])
    parts = [f"{depth} layer{'' if depth == 1 else 's'}", f"{problems} problem{'' if count == 1 else 's'}"]
    if item["Dirty"]:
        parts.append("not closed after its last use, or in use now")
    return ", ".join(parts)
