"""`system check`."""

from __future__ import annotations

import json

import click

from ireko.cli.exit import FAILED
from ireko.cli.group import verb
from ireko.cli.progress import Progress
from ireko.cli.render import Item
from ireko.cli.session import Session, pass_session
from ireko.cli.text import display_width, printable
from ireko.errors import InvalidInput

_GAP = 2
_COUNTED = ("Image", "Layer", "Container", "Volume")


@verb("check", example="ireko system check\nireko system check --deep --repair")
@click.option("--deep", is_flag=True, help="Read all data too, and compare it with what is known of it.")
@click.option("--repair", is_flag=True, help="Put right what can be put right without losing anything.")
@click.option("--format", "written", default="", metavar="FORMAT", help="json shows what a program can read.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, and nothing when all is well.")
@pass_session
def check(session: Session, *, deep: bool, repair: bool, written: str, quiet: bool) -> int:
    """Look whether the database, the files and every chain of disks agree.

    Machines go on meanwhile. A repair loses nothing and guesses nothing: what no record knows is moved to the folder lost/ in
    the root. The exit code is 1 when something is wrong and stays so.
    """
    if written not in {"", "json"}:
        raise InvalidInput(f'"{written}" is no format of check', hint="--format json")
    done = Progress(session.err).show(session.client.system.check(deep=deep, repair=repair), quiet=quiet)
    wrong = [each for each in done["Findings"] if not each["Repaired"]]
    if written == "json":
        session.line(json.dumps(done, ensure_ascii=False))
    else:
        _tell(session, done["Findings"])
        if not quiet or done["Findings"]:
            session.line(_sum(done, wrong=len(wrong)))
    return FAILED if wrong else 0


def _tell(session: Session, findings: list[Item]) -> None:
    states = ["repaired" if each["Repaired"] else each["Level"] for each in findings]
    state = max((len(each) for each in states), default=0) + _GAP
    name = max((display_width(each["Name"]) for each in findings), default=0) + _GAP
    for each, text in zip(findings, states, strict=True):
        padding = " " * (name - display_width(each["Name"]))
        session.line(printable(f"{text:<{state}}{each['Name']}{padding}{each['Found']}".rstrip()))
        if each["Remedy"] and not each["Repaired"]:
            session.line(printable(f"{'':<{state + name}}do: {each['Remedy']}"))


def _sum(done: Item, *, wrong: int) -> str:
    counts = ", ".join(_count(done[f"{noun}s"], noun.lower()) for noun in _COUNTED)
    repaired = len(done["Findings"]) - wrong
    found = "nothing is wrong" if not done["Findings"] else f"{wrong} wrong, {repaired} repaired"
    return f"{counts}: {found}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
