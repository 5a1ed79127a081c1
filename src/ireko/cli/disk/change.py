"""The verbs of `disk` that put a new file in a disk's place: `compact`, `resize`, `repair`; and `seal`, which leaves the file."""

from __future__ import annotations

from pathlib import Path

import click

from ireko.cli.disk.arguments import (
    a_file,
    dirty_flag,
    each,
    parent_file,
    parent_folders,
    quiet_flag,
    refuse_dirty,
    some_files,
    source_format,
    within,
)  # fmt: skip
from ireko.cli.disk.links import room
from ireko.cli.disk.working import working
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.cli.units import binary_size, parse_size
from ireko.disk import operations
from ireko.disk.base import LayerInfo
from ireko.disk.chain import open_chain
from ireko.disk.errors import DiskError
from ireko.disk.formats import open_layer
from ireko.disk.links import recorded_places
from ireko.errors import NotModified


@verb("compact", example="ireko disk compact web.vhdx db.vhdx")
@dirty_flag
@source_format
@quiet_flag
@some_files
@pass_session
def compact(session: Session, *, force: bool, source: str | None, quiet: bool, files: tuple[Path, ...]) -> int:
    """Give back the room that zeros and unused blocks take.

    All data is read, and a new file takes the disk's place when it is whole. What the disk shows, its identity and its
    place under other disks stay.
    """

    def shrink(file: Path) -> None:
        _usable(file, source or "", force=force)
        before = room(file)
        with working(session, f"compacting {file}", quiet=quiet) as progress:
            operations.compact(file, format_name=source or "", progress=progress)
        _say(session, f"{file}: {binary_size(before)} on disk, now {binary_size(room(file))}", quiet=quiet)

    return each(session, files, shrink)


@verb("resize", example="ireko disk resize web.vhdx 40g\nireko disk resize web.vhdx +10g")
@dirty_flag
@source_format
@parent_folders
@quiet_flag
@a_file
@click.argument("size", metavar="SIZE")
@pass_session
def resize(
    session: Session, *, force: bool, source: str | None, folders: tuple[Path, ...], quiet: bool, file: Path, size: str
) -> None:
    """Make a disk larger.

    SIZE is the new virtual size, or with a + before it what comes to the old one; k, m, g and t are powers of 1024. What is
    new reads as zeros; partitions and file systems stay as they are. A disk that others stand on can't be resized.
    """
    info = _usable(file, source or "", force=force)
    wanted = parse_size(size.removeprefix("+")) + (info.size if size.startswith("+") else 0)
    if wanted == info.size:
        raise NotModified(f'the disk "{file}" is {wanted} bytes large already')
    with working(session, f"resizing {file}", quiet=quiet) as progress:
        operations.resize(file, wanted, format_name=source or "", within=within(file, folders), progress=progress)
    _say(session, f"{file}: {binary_size(info.size)}, now {binary_size(wanted)} ({wanted} bytes)", quiet=quiet)


@verb(
    "repair", example="ireko disk repair --parents /srv/bases web.avhdx\nireko disk repair --parent base.vhdx web.avhdx"
)
@parent_file("Where the parent is now; it is looked for by default.")
@dirty_flag
@parent_folders
@quiet_flag
@some_files
@pass_session
def repair(
    session: Session,
    *,
    parent: Path | None,
    force: bool,
    folders: tuple[Path, ...],
    quiet: bool,
    files: tuple[Path, ...],
) -> int:
    """Have disks point to where their parents are now.

    A parent is taken only when it is proven to be the one: by the identity that the disk has recorded, or by its content when
    the disk is sealed. Nothing is done to a disk whose chain holds, unless --parent names another place.
    """

    def relink(file: Path) -> None:
        if parent is None and _holds(file, within(file, folders)):
            _say(session, f"{file}: nothing to repair", quiet=quiet)
            return
        _usable(file, "", force=force)
        with working(session, f"repairing {file}", quiet=quiet) as progress:
            found = operations.repair(file, parent=parent, within=within(file, folders), progress=progress)
        _say(session, f"{file}: its parent is {found}", quiet=quiet)

    return each(session, files, relink)


def _holds(file: Path, folders: tuple[Path, ...]) -> bool:
    """Whether a chain is whole, and the parent where the disk says, not only under its name in one of the folders.

    Raises what is wrong further down, as it is another disk that has to be repaired then.
    """
    try:
        with open_chain(file, within=folders) as chain:
            info, parent = chain.leaf.info, chain.parent
            if parent is None or info.parent is None:
                return False
            return any(_same(each, parent.info.path) for each in recorded_places(file, info.parent))
    except DiskError as error:
        if error.path != file:
            raise
        return False


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


@verb("seal", example="ireko disk seal base.vhdx")
@source_format
@parent_folders
@quiet_flag
@some_files
@pass_session
def seal(
    session: Session, *, source: str | None, folders: tuple[Path, ...], quiet: bool, files: tuple[Path, ...]
) -> int:
    """Make layers read-only, and note what is in them.

    All data is read. The note is FILE.seal: by it a changed layer is known at once, ids need no reading, and a moved parent
    is proven. A layer that is sealed already is compared with its seal, which is renewed.
    """

    def close(file: Path) -> None:
        with working(session, f"reading {file}", quiet=quiet) as progress:
            made = operations.seal(file, within=within(file, folders), format_name=source or "", progress=progress)
        _say(session, f"{file}: {made.chain_id}", quiet=quiet)

    return each(session, files, close)


def _usable(file: Path, source: str, *, force: bool) -> LayerInfo:
    """What a disk says of itself, when its file may be replaced."""
    with open_layer(file, format_name=source) as layer:
        info = layer.info
    refuse_dirty(file, dirty=info.dirty, force=force)
    return info


def _say(session: Session, text: str, *, quiet: bool) -> None:
    if not quiet:
        session.line(printable(text))
