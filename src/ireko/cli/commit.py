"""`commit`."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.model.names import Reference


@verb("commit", example='ireko commit -m "nginx installed" -c "CMD nginx" web web:1')
@click.option("-a", "--author", default="", metavar="NAME", help="Who made it.")
@click.option("-m", "--message", default="", metavar="TEXT", help="What was done.")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help="Apply a Dockerfile instruction.")
@click.option("-p", "--pause/--no-pause", default=True, help="Have the guest write out what it holds first.")
@click.argument("container", shell_complete=complete.containers)
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@pass_session
def commit(
    session: Session, *, author: str, message: str, changes: tuple[str, ...], pause: bool, container: str,
    reference: str | None,
) -> None:  # fmt: skip
    """Make an image from a container's changes.

    Nothing is copied: the container's layer becomes the image's top layer, and the container goes on with a new one.
    """
    name = Reference.parse(reference) if reference else None
    made = session.client.containers.commit(
        container,
        repository=name.repository if name else "",
        tag=name.tag if name else "",
        comment=message,
        author=author,
        changes=changes,
        pause=pause,
    )
    session.line(made["Id"])
