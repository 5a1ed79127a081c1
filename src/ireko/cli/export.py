"""`image export`."""

from __future__ import annotations

from pathlib import Path

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.progress import Progress
from ireko.cli.session import Session, pass_session
from ireko.cli.terminal import is_terminal
from ireko.errors import InvalidInput


@verb(
    "export",
    example="ireko image export web:1 web.vhdx\n"
    "ireko image export --tree web:1 web.tar\n"
    "ireko image export --tree web:1 - | ssh far ireko image import -",
)
@click.option(
    "--format",
    "written",
    default="",
    metavar="FORMAT",
    help="The disk's format: vhdx, qcow2, raw, vhd; by default what DEST's suffix says. With --tree the layers': vhdx or qcow2.",
)
@click.option("--tree", is_flag=True, help="Write an archive with all layers, the kernel and the settings.")
@click.option("-f", "--force", is_flag=True, help="Replace DEST, once the new file is whole.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say how far it is.")
@click.argument("image", shell_complete=complete.images)
@click.argument("dest", metavar="DEST")
@pass_session
def export(session: Session, *, written: str, tree: bool, force: bool, quiet: bool, image: str, dest: str) -> None:
    """Write an image to a disk file, or to an archive of its layers.

    A disk shows what the image shows, and needs no other; an archive, with --tree, has all that makes the image. The daemon
    writes the file itself: DEST is a path on its machine. With --tree, - stands for standard output.
    """
    if dest == "-":
        _stream(session, image, written, tree=tree)
        return
    path = str(Path(dest).absolute())
    lines = session.client.images.export(image, path, format_name=written, tree=tree, force=force)
    outcome = Progress(session.err).show(lines, quiet=quiet)
    for warning in outcome.get("Warnings", []):
        session.note(f"WARNING: {warning}")


def _stream(session: Session, image: str, written: str, *, tree: bool) -> None:
    if not tree:
        raise InvalidInput("a disk can't be written to standard output", hint="give a file's name, or --tree")
    if is_terminal(session.out):
        raise InvalidInput(
            "an archive is nothing for a terminal", hint=f"ireko image export --tree {image} - > image.tar"
        )
    for piece in session.client.images.archive(image, format_name=written):
        session.binary_out.write(piece)
    session.binary_out.flush()
