"""`disk check`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import click

from ireko.cli.disk.arguments import each, looks_at_disks, quiet_flag, within
from ireko.cli.disk.listing import plain, write
from ireko.cli.disk.working import working
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.disk.base import Layer, Problem, Progress
from ireko.disk.chain import check_chain, follow_chain
from ireko.disk.errors import DiskError
from ireko.disk.use import written_to

_MOST = 1000
"""Problems of one disk that are told; a damaged table may have millions."""
_TABLE = ("File", "State", "Depth", "Count")
_FIELDS: Fields = {
    **plain(
        File="FILE",
        Sound="SOUND",
        Deep="DEEP",
        Layers="LAYERS",
        Dirty="DIRTY",
        InUse="IN USE",
        Problems="PROBLEMS",
        More="MORE",
    ),
    "State": ("STATE", lambda item: "sound" if item["Sound"] else "damaged"),
    "Depth": ("LAYERS", lambda item: len(item["Layers"])),
    "Count": ("PROBLEMS", lambda item: f"{len(item['Problems'])}{'+' if item['More'] else ''}"),
}


@verb("check", example="ireko disk check web.vhdx\nireko disk check --deep --parents /srv/bases web.vhdx")
@click.option("--deep", is_flag=True, help="Read all data too, and compare it with the seals that there are.")
@looks_at_disks
@quiet_flag
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
        chain, broken = follow_chain(file, within=folders, format_name=source)
    except DiskError as error:
        return _item(file, [], [_broken_link(error)], deep=deep)
    with chain:
        if broken is not None and not isinstance(broken, DiskError):
            raise broken
        deep = deep and broken is None  # ids of layers are made of those below them
        problems = [] if broken is None else [_broken_link(broken)]
        problems += itertools.starmap(_problem, itertools.islice(check_chain(chain, progress, deep=deep), _MOST + 1))
        return _item(file, chain.layers, problems, deep=deep)


def _item(file: Path, layers: Sequence[Layer], problems: list[Item], *, deep: bool) -> Item:
    return {
        "File": str(file),
        "Sound": not problems,
        "Deep": deep,
        "Layers": [str(layer.info.path) for layer in layers],
        "Dirty": any(layer.info.dirty for layer in layers),
        "InUse": any(written_to(layer.file) for layer in layers),
        "Problems": problems[:_MOST],
        "More": len(problems) > _MOST,
    }


def _broken_link(error: DiskError) -> Item:
    problem = Problem(error.structure, str(error.found), str(error.wanted), error.offset)
    return {**_problem(error.path, problem), "Hint": error.hint}


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
    if item["InUse"]:
        parts.append("in use by a machine that runs")
    elif item["Dirty"]:
        parts.append("not closed after its last use, or in use now")
    return ", ".join(parts)
