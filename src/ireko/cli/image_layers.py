"""`image flatten` and `image rebase`: the same content on other layers."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.made import id_alone, tell
from ireko.cli.session import Session, pass_session

_TAG = click.option(
    "-t", "--tag", default="", metavar="REPOSITORY[:TAG]", help="The new image's name, rather than that of the old one."
)


@verb("flatten", example="ireko image flatten web:9\nireko image flatten web:9 -t web:flat")
@_TAG
@id_alone
@click.argument("image", shell_complete=complete.images)
@pass_session
def flatten(session: Session, *, tag: str, quiet: bool, image: str) -> None:
    """Make one layer of an image's layers.

    The new image takes the name over; the old one stays for its containers, and "ireko image prune" removes it.
    """
    tell(session, session.client.images.flatten(image, tag=tag), quiet=quiet)


@verb("rebase", example="ireko image rebase imported:1 debian")
@_TAG
@id_alone
@click.argument("image", shell_complete=complete.images)
@click.argument("onto", shell_complete=complete.images)
@pass_session
def rebase(session: Session, *, tag: str, quiet: bool, image: str, onto: str) -> None:
    """Put an image on top of another, to share what is the same.

    It shows the same as before; what both have in common is stored once. The new image takes the name over; the old one stays
    for its containers, and "ireko image prune" removes it.
    """
    tell(session, session.client.images.rebase(image, onto, tag=tag), quiet=quiet)
