"""How verbs that make an image tell of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ireko.cli.progress import Progress
from ireko.cli.session import Session
from ireko.cli.text import printable

id_alone = click.option("-q", "--quiet", is_flag=True, help="Print the image's id alone.")


def tell(session: Session, lines: Iterable[dict[str, Any]], *, quiet: bool) -> None:
    """Show how far it is, unless quiet, then what is to be warned of, then the image's id. Raises Refused for an error."""
    made = Progress(session.err).show(lines, quiet=quiet)
    for warning in made.get("Warnings") or []:
        session.note(printable(f"WARNING: {warning}"))
    session.line(made.get("ID", ""))
