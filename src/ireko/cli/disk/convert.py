"""`disk convert` and `disk flatten`."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ireko.cli.disk.arguments import FORMATS, PATH, parent_file, parent_folders, quiet_flag, source_format, within
from ireko.cli.disk.links import room
from ireko.cli.disk.working import working
from ireko.cli.group import Callback, verb
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.cli.units import binary_size, parse_size
from ireko.disk.base import Allocation, Layer
from ireko.disk.formats import format_for, open_layer
from ireko.disk.operations import convert_layer, prove_counterpart
from ireko.disk.operations import flatten as write_flat
from ireko.disk.use import written_to
from ireko.errors import AlreadyThere, InvalidInput, NotFound


@dataclass(frozen=True)
class _Target:
    """The new disk that is wanted. A block size of 0 is the format's own."""

    path: Path
    format: str
    force: bool
    fixed: bool = False
    sparse: bool = False
    block_size: int = 0


def _no_folder(_context: click.Context, _parameter: click.Parameter, path: Path) -> Path:
    if path.is_dir():
        raise InvalidInput(
            f'"{path}" is a folder', hint=f"name a file in it: {shlex.quote(str(path / f'disk.{FORMATS[0]}'))}"
        )
    return path


def _target_options(function: Callback) -> Callback:
    for option in (
        click.argument("path", type=PATH, metavar="DEST", callback=_no_folder),
        quiet_flag,
        parent_folders,
        source_format,
        click.option("-f", "--force", is_flag=True, help="Put the new disk in DEST's place when that exists."),
        click.option("--sparse", is_flag=True, help="Look for zeros among the data, so that they take no room."),
        click.option("--block-size", default="", metavar="SIZE", help="The unit in which the new disk takes room."),
        click.option("--fixed", is_flag=True, help="Make a disk of the fixed kind, which has no table of blocks."),
        click.option("--format", "wanted", default=None, type=click.Choice(FORMATS), help="The new disk's format."),
    ):
        function = option(function)
    return function


@verb(
    "convert",
    example="ireko disk convert web.vhdx web.qcow2\n"
    "ireko disk convert --format vhd --fixed web.qcow2 azure.vhd\n"
    "ireko disk convert --parent base.qcow2 web.avhdx web.qcow2",
)
@click.argument("file", type=PATH, metavar="SRC")
@_target_options
@parent_file("Write only what SRC adds to its parent, as a layer on FILE, the parent's counterpart.")
@pass_session
def convert(
    session: Session, *, file: Path, path: Path, parent: Path | None, wanted: str | None, fixed: bool, sparse: bool,
    block_size: str, force: bool, source: str | None, folders: tuple[Path, ...], quiet: bool,
) -> None:  # fmt: skip
    """Write what a disk shows to a new one of another format.

    Without --format the suffix of DEST decides. A disk with parents becomes one that needs none, unless --parent is given:
    FILE must then show what SRC's parent shows, for which both are read unless they are sealed.
    Nothing is there under DEST's name before the new disk is whole.
    """
    target = _Target(
        path, wanted or _format_of(path), force, fixed, sparse, parse_size(block_size) if block_size else 0
    )
    if parent is None:
        _write(session, file, target, source=source or "", folders=folders, quiet=quiet)
    elif fixed or sparse or block_size:
        raise click.UsageError("--parent goes with none of --fixed, --sparse and --block-size")
    else:
        _write_layer(session, file, target, parent, source=source or "", folders=folders, quiet=quiet)


@verb("flatten", example="ireko disk flatten web.avhdx web.vhdx")
@click.argument("file", type=PATH, metavar="LEAF")
@_target_options
@pass_session
def flatten(
    session: Session, *, file: Path, path: Path, wanted: str | None, fixed: bool, sparse: bool, block_size: str,
    force: bool, source: str | None, folders: tuple[Path, ...], quiet: bool,
) -> None:  # fmt: skip
    """Write a disk and its parents to one new file.

    Without --format the suffix of DEST decides, then LEAF's own format. LEAF and its parents stay as they are.
    """
    target = _Target(
        path,
        wanted or _format_of(path, file, source or ""),
        force,
        fixed,
        sparse,
        parse_size(block_size) if block_size else 0,
    )
    _write(session, file, target, source=source or "", folders=folders, quiet=quiet)


def _format_of(path: Path, leaf: Path | None = None, source: str = "") -> str:
    """What the suffix stands for, else the format of a leaf."""
    try:
        return format_for(path).name
    except InvalidInput as error:
        if leaf is None:
            raise InvalidInput(error.message, hint=f"--format {FORMATS[0]}, or another of them") from error
        with open_layer(leaf, format_name=source) as layer:
            return layer.info.format


def _write(
    session: Session, file: Path, target: _Target, *, source: str, folders: tuple[Path, ...], quiet: bool
) -> None:
    _refuse_taken(target)
    _warn(session, file, source)
    with working(session, f"writing {target.path}", quiet=quiet) as progress:
        write_flat(
            file,
            target.path,
            within=within(file, folders),
            source_format=source,
            target_format=target.format,
            allocation=Allocation.FIXED if target.fixed else Allocation.DYNAMIC,
            block_size=target.block_size,
            fold=target.sparse,
            replace=target.force,
            progress=progress,
        )
    _tell(session, target, quiet=quiet)


def _write_layer(
    session: Session, file: Path, target: _Target, parent: Path, *, source: str, folders: tuple[Path, ...], quiet: bool
) -> None:
    _refuse_taken(target)
    _warn(session, file, source)
    with working(session, f"comparing {parent}", quiet=quiet) as progress:
        prove_counterpart(
            file,
            parent,
            within=within(parent, folders),
            source_within=within(file, folders),
            source_format=source,
            progress=progress,
        )
    with working(session, f"writing {target.path}", quiet=quiet) as progress:
        convert_layer(
            file,
            target.path,
            parent=parent,
            within=within(parent, folders),
            source_format=source,
            target_format=target.format,
            replace=target.force,
            compared=True,
            progress=progress,
        )
    _tell(session, target, quiet=quiet)


def _refuse_taken(target: _Target) -> None:
    """Say at once what would be said at the end of the work."""
    path = target.path
    if not path.parent.is_dir():
        raise NotFound(f'there is no folder "{path.parent}"')
    if not os.path.lexists(path):
        return
    if not target.force:
        raise AlreadyThere(f'there is a file already: "{path}"', hint="--force puts the new disk in its place")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InvalidInput(f'"{path}" is no regular file, so a disk can\'t take its place')


def _warn(session: Session, file: Path, source: str) -> None:
    """Say what the new disk may lack."""
    with open_layer(file, format_name=source) as layer:
        for state in _lacks(layer):
            session.note(printable(f'ireko: the disk "{file}" {state}'))


def _lacks(layer: Layer) -> Iterator[str]:
    if written_to(layer.file):
        yield "is in use by a machine that runs, so the copy may be of no use"
    elif layer.info.dirty:
        yield "was not closed after its last use; if a machine uses it now, the copy may be of no use"
    if layer.info.snapshots:
        yield "holds internal snapshots, which are not copied: the new disk shows what it shows now"


def _tell(session: Session, target: _Target, *, quiet: bool) -> None:
    if quiet:
        return
    with open_layer(target.path, format_name=target.format) as layer:
        info = layer.info
    size, used = binary_size(info.size), binary_size(room(target.path))
    session.line(printable(f"{target.path}: {info.format}, {info.allocation.value}, {size}, {used} on disk"))
