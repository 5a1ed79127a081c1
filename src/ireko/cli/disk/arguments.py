"""What the verbs of `disk` are told: files, their format, and where their parents may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from ireko.cli.exit import FAILED, say_error
from ireko.cli.group import Callback
from ireko.cli.session import Session
from ireko.errors import Conflict, IrekoError

FORMATS = ("vhdx", "qcow2", "raw", "vhd")

PATH = click.Path(path_type=Path, readable=False)  # whether it may be read is seen, and said, when it is
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

a_file = click.argument("file", type=PATH, metavar="FILE")
some_files = click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
source_format = click.option(
    "--from",
    "source",
    default=None,
    type=click.Choice(FORMATS),
    help="The format of the file, which is found by its content otherwise. A raw disk has to be called one, "
    "here or by its suffix .raw.",
)
parent_folders = click.option(
    "--parents",
    "folders",
    multiple=True,
    type=_FOLDER,
    metavar="DIR",
    help="A folder where parents may lie too, or below it; may be repeated. Without it parents outside the "
    "file's own folder are not touched.",
)
written_format = click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
quiet_flag = click.option("-q", "--quiet", is_flag=True, help="Say nothing but what goes wrong.")
dirty_flag = click.option(
    "-f", "--force", is_flag=True, help="Do it although the disk was not closed after its last use."
)


def looks_at_disks(function: Callback) -> Callback:
    """What the verbs are told that show something of disks: `written`, `source`, `folders` and `files`."""
    for option in (some_files, parent_folders, source_format, written_format):
        function = option(function)
    return function


def parent_file(text: str) -> Callable[[Callback], Callback]:
    """The option that names a parent."""
    return click.option("--parent", default=None, type=PATH, metavar="FILE", help=text)


def within(file: Path, folders: Iterable[Path]) -> tuple[Path, ...]:
    """Where a disk's parents may be: in its own folder, and in those that were named."""
    return (file.absolute().parent, *folders)


def each(session: Session, files: Iterable[Path], action: Callable[[Path], bool | None]) -> int:
    """Do something with one file after another, go on when one fails; the exit code. False is a failure too."""
    code = 0
    for file in files:
        try:
            if action(file) is False:
                code = FAILED
        except IrekoError as error:
            session.out.flush()
            say_error(error, session.err)
            code = FAILED
    return code


def refuse_dirty(file: Path, *, dirty: bool, force: bool) -> None:
    """Raises Conflict for a disk that may be in use: whoever uses it would go on writing to the file that is replaced."""
    if dirty and not force:
        raise Conflict(
            f'the disk "{file}" was not closed after its last use, or is in use now',
            hint="stop the machine that uses it; --force when none does",
        )
