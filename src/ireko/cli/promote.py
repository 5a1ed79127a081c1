"""`promote`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.progress import Progress
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.model.places import straight

_FORMATS = click.Choice(("qcow2", "vhdx", "vhd", "raw"))
_STARTS = ".sh"


@verb(
    "promote",
    example="ireko promote web\nireko promote --format vhdx web /srv/machines/web\nireko promote --register web --move web",
)
@click.option("--format", "wanted", default=None, type=_FORMATS, help="The disk's format.")
@click.option("--register", default="", metavar="NAME", help="Have the hypervisor know the machine by this name.")
@click.option("--move", is_flag=True, help="Remove the container when all is done.")
@click.option("-q", "--quiet", is_flag=True, help="Print the folder alone, and warnings.")
@click.argument("container", shell_complete=complete.containers)
@click.argument("place", required=False, metavar="[DEST]", type=click.Path(readable=False))
@pass_session
def promote(
    session: Session, *, wanted: str | None, register: str, move: bool, quiet: bool, container: str, place: str | None
) -> None:
    """Turn a container into a machine that runs without ireko.

    DEST becomes a folder with the whole disk in one file and what starts it; by default it is named after the container.
    The disk is read back and compared before this says done. With a daemon on another machine DEST is a path there.
    """
    client = session.client
    name = str(client.containers.inspect(container)["Name"]).removeprefix("/")
    path = str(straight(Path(place or name).absolute()))
    lines = client.containers.promote(container, path, disk_format=wanted or "", register=register, move=move)
    made = Progress(session.err).show(lines, quiet=quiet)
    for warning in made.get("Warnings") or []:
        session.note(printable(f"WARNING: {warning}"))
    session.line(printable(str(made["Path"])))
    if not quiet:
        _tell_next(session, made, register)


def _tell_next(session: Session, made: dict[str, Any], register: str) -> None:
    if register:
        session.note(f'the hypervisor knows it as "{register}"')
    for name in made.get("Files") or []:
        if name.endswith(_STARTS):
            session.note(printable(f"start it with {shlex.quote(str(Path(made['Path'], name)))}"))
