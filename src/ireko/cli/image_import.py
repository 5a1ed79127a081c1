"""`image import` and `adopt`: disks and machines from elsewhere become images."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.made import id_alone, tell
from ireko.cli.session import Session, pass_session
from ireko.cli.terminal import is_terminal
from ireko.cli.units import parse_size, processors
from ireko.errors import InvalidInput

_PIECE = 1 << 20

_LINK = click.option(
    "--link", is_flag=True, help="Copy nothing: stand on the files themselves, which must stay as they are."
)
_PARENTS = click.option(
    "--parents",
    "folders",
    multiple=True,
    metavar="DIR",
    help="A folder where parents may lie too, or below it; may be repeated.",
)


@verb(
    "import",
    example="ireko image import server.vhdx server:1\n"
    "ireko image import --link /srv/vm/web.qcow2 web\n"
    "ireko image import web.tar\n"
    "ssh far ireko image export --tree web - | ireko image import -",
)
@click.option(
    "--from", "source", default="", metavar="FORMAT", help="The disk's format: vhdx, vhd, qcow2, raw, vmdk, vdi."
)
@_PARENTS
@_LINK
@click.option("--generation", type=click.Choice(["1", "2"]), help="Boot with a BIOS (1) or UEFI (2).")
@click.option(
    "--hardware",
    type=click.Choice(["virtual", "common"]),
    help="The hypervisor's own devices, or those that any system has drivers for.",
)
@click.option(
    "--cpus", type=float, callback=processors, default=0.0, metavar="N", help="The processors that a machine gets."
)
@click.option(
    "--sector-size",
    type=click.Choice(["512", "4096"]),
    help="The bytes in a sector, where neither the file nor its partition table tells.",
)
@click.option("-m", "--memory", default="", metavar="SIZE", help="The memory that a machine gets, like 512m or 2g.")
@click.option(
    "--like",
    default="",
    metavar="IMAGE",
    shell_complete=complete.images,
    help="Take this image's settings and its kernel.",
)
@id_alone
@click.argument("file", metavar="FILE")
@click.argument("name", required=False, default="", metavar="[NAME]")
@pass_session
def import_(
    session: Session, *, source: str, folders: tuple[str, ...], link: bool, generation: str | None, hardware: str | None,
    cpus: float, sector_size: str | None, memory: str, like: str, quiet: bool, file: str, name: str,
) -> None:  # fmt: skip
    """Make an image of a disk and its parents, or take those of an archive.

    A differencing disk brings its parents along, each as a layer; layers that are here already are shared. What is not said is
    found by a look at the disk. Without NAME the image of a disk has an id alone. The daemon reads the file itself; - is an
    archive from standard input.
    """
    options: dict[str, Any] = {
        "Format": source, "Within": _absolute(folders), "Link": link, "Generation": int(generation or 0),
        "Hardware": hardware or "", "Cpus": cpus, "Memory": parse_size(memory) if memory else 0,
        "SectorSize": int(sector_size or 0), "Like": like,
    }  # fmt: skip
    lines = (
        session.client.images.load(_standard_input(session, options), tag=name)
        if file == "-"
        else session.client.images.import_disk(_absolute([file])[0], name=name, **options)
    )
    tell(session, lines, quiet=quiet)


@verb("adopt", example="ireko adopt ./web-server web:1\nireko adopt --link web-server")
@_PARENTS
@_LINK
@id_alone
@click.argument("machine")
@click.argument("name", required=False, default="", metavar="[NAME]")
@pass_session
def adopt(session: Session, *, folders: tuple[str, ...], link: bool, quiet: bool, machine: str, name: str) -> None:
    """Make an image of an existing machine.

    Its checkpoints become layers, and the machine stays as it is.

    MACHINE is the name that the hypervisor knows it by, or a folder with its disks, or the file that describes it. Without
    a name the image is called as the machine is.
    """
    lines = session.client.images.adopt(_meant(machine), name=name, within=_absolute(folders), link=link)
    tell(session, lines, quiet=quiet)


def _standard_input(session: Session, options: dict[str, Any]) -> Iterable[bytes]:
    if any(options.values()):
        raise InvalidInput("an archive's images have their settings: they can't be given")
    if is_terminal(session.stdin):
        raise InvalidInput("no archive comes from a terminal", hint="ireko image import - < image.tar")
    reader = session.stdin.buffer
    return iter(lambda: reader.read(_PIECE), b"")


def _meant(machine: str) -> str:
    """A path as one that the daemon knows; a name is what is no path, and no file here."""
    is_path = any(each in machine for each in (os.sep, "/")) or (machine and os.path.lexists(machine))
    return _absolute([machine])[0] if is_path else machine


def _absolute(paths: Iterable[str]) -> list[str]:
    """The paths from where we are; "" stays what it is, and is no path."""
    return [path and str(Path(path).absolute()) for path in paths]
