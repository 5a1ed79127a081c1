"""`system compact`."""

from __future__ import annotations

import json

import click

from ireko.cli.exit import FAILED
from ireko.cli.group import verb
from ireko.cli.progress import Progress
from ireko.cli.render import Item
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.cli.units import human_size
from ireko.errors import InvalidInput


@verb("compact", example="ireko system compact")
@click.option("--format", "written", default="", metavar="FORMAT", help="json shows what a program can read.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@pass_session
def compact(session: Session, *, written: str, quiet: bool) -> int:
    """Give back the room that layers and stopped containers don't need.

    That is what zeros and unused blocks take. All data is read; a disk that would become smaller is written anew and takes the
    old one's place. What runs, and the layers below it, are left as they are.

    The exit code is 1 when a disk could not be worked on.
    """
    if written not in {"", "json"}:
        raise InvalidInput(f'"{written}" is no format of compact', hint="--format json")
    done = Progress(session.err).show(session.client.system.compact(), quiet=quiet)
    if written == "json":
        session.line(json.dumps(done, ensure_ascii=False))
    else:
        _tell(session, done)
    return FAILED if any(each["Failed"] for each in done["Left"]) else 0


def _tell(session: Session, done: Item) -> None:
    for each in done["Shrunk"]:
        before, after = (human_size(each[name], digits=3) for name in ("Before", "After"))
        session.line(printable(f"{each['Name']}: {before}, now {after}"))
    for each in done["Left"]:
        session.line(printable(f"{each['Name']}: left as it is: {each['Why']}"))
    session.line(f"Total reclaimed space: {human_size(done['SpaceReclaimed'])}")
