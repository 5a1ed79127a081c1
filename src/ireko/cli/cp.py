"""`cp`."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from ireko.cli import complete
from ireko.cli.archive import End, pack, plan, unpack
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.terminal import is_terminal
from ireko.cli.units import human_size
from ireko.client import Refused
from ireko.errors import InvalidInput, NotFound

_DIR_BIT = 1 << 31
_LINK_BIT = 1 << 27
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_PIECE = 1 << 16


@verb("cp", example="ireko cp web:/etc/hosts .\nireko cp site/. web:/srv/www\ntar c site | ireko cp - web:/srv")
@click.option("-a", "--archive", "owners", is_flag=True, help="Keep who owns the files.")
@click.option("-L", "--follow-link", "follow", is_flag=True, help="Copy what a link as SOURCE points at.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say what was copied.")
@click.argument("source", metavar="SOURCE", shell_complete=complete.paths)
@click.argument("target", metavar="TARGET", shell_complete=complete.paths)
@pass_session
def cp(session: Session, *, owners: bool, follow: bool, quiet: bool, source: str, target: str) -> None:
    """Copy files between a container and this machine.

    A path in a container is written CONTAINER:PATH. `-` stands for a tar stream from standard input or to standard
    output. A source that ends in /. means what is in the folder, and not the folder itself.
    """
    (from_ref, from_path), (to_ref, to_path) = _split(source), _split(target)
    if from_ref and to_ref:
        raise InvalidInput(
            "copying between containers is not supported", hint="ireko cp a:/path - | ireko cp - b:/path"
        )
    count = _Count(session, shown=not quiet and is_terminal(session.out))
    if from_ref:
        _from_container(session, from_ref, from_path, to_path, follow=follow, owners=owners, count=count)
    elif to_ref:
        _to_container(session, from_path, to_ref, to_path, follow=follow, owners=owners, count=count)
    else:
        raise InvalidInput("must specify at least one container source", hint="ireko cp FILE CONTAINER:PATH")


class _Count:
    """Counts what passes, and says it at the end."""

    def __init__(self, session: Session, *, shown: bool) -> None:
        self._session = session
        self._shown = shown
        self._total = 0

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._total += len(piece)
            yield piece

    def finish(self, target: str) -> None:
        if self._shown:
            self._session.note(f"Successfully copied {human_size(self._total, digits=3)} to {target}")


def _split(word: str) -> tuple[str, str]:
    """Container and path; "" and the path for a path of this machine."""
    if word.startswith((".", "/")) or word == "-" or _DRIVE.match(word):
        return "", word
    ref, colon, path = word.partition(":")
    return (ref, path) if colon and ref else ("", word)


def _from_container(
    session: Session, ref: str, path: str, target: str, *, follow: bool, owners: bool, count: _Count
) -> None:
    containers = session.client.containers
    rename = posixpath.basename(path) if follow else None
    if follow:
        path = _followed(session, ref, path)
    stat, pieces = containers.read_archive(ref, path)
    if target == "-":
        _refuse_terminal(session)
        for piece in pieces:
            session.binary_out.write(piece)
        session.binary_out.flush()
        return
    source = End(path, exists=True, is_dir=bool(stat["mode"] & _DIR_BIT))
    where = plan(source, _local_end(target), split=_split_local)
    folder = Path(where.folder)
    if not folder.is_dir():
        raise NotFound(f'invalid output path: directory "{folder}" does not exist')
    unpack(count.through(pieces), folder, name=where.name or rename, keep_owners=owners)
    count.finish(target)


def _to_container(
    session: Session, path: str, ref: str, target: str, *, follow: bool, owners: bool, count: _Count
) -> None:
    end = _guest_end(session, ref, target)
    if path == "-":
        if not end.is_dir:
            raise InvalidInput(f'destination "{ref}:{target}" must be a directory')
        reader = session.stdin.buffer
        session.client.containers.write_archive(
            ref, end.path, iter(lambda: reader.read(_PIECE), b""), keep_owners=owners
        )
        return
    source = _local_end(path)
    if not source.exists:
        raise NotFound(f"lstat {Path(path).absolute()}: no such file or directory")
    where = plan(source, end, split=_split_guest)
    name = where.name or _own_name(path)
    pieces = pack(Path(path), name, follow=follow or path.endswith(("/", "/.")), keep_owners=owners)
    session.client.containers.write_archive(ref, where.folder, count.through(pieces), keep_owners=owners)
    count.finish(f"{ref}:{target}")


def _refuse_terminal(session: Session) -> None:
    if is_terminal(session.out):
        raise InvalidInput(
            "cowardly refusing to write an archive to a terminal", hint="ireko cp web:/path - > path.tar"
        )


def _guest_end(session: Session, ref: str, path: str) -> End:
    """What a path in a container is, with a link at its end followed."""
    written = path or "/"
    try:
        stat = session.client.containers.stat_path(ref, written)
        if stat["mode"] & _LINK_BIT:
            written = posixpath.join(posixpath.dirname(written.rstrip("/")), stat["linkTarget"])
            stat = session.client.containers.stat_path(ref, written)
    except Refused as error:
        if error.status != 404:
            raise
        session.client.containers.inspect(
            ref
        )  # what answers here has no words: it says so when it is the container that is missing
        return End(written, exists=False, is_dir=False)
    return End(written, exists=True, is_dir=bool(stat["mode"] & _DIR_BIT))


def _followed(session: Session, ref: str, path: str) -> str:
    stat = session.client.containers.stat_path(ref, path)
    if not stat["mode"] & _LINK_BIT:
        return path
    return posixpath.normpath(posixpath.join(posixpath.dirname(path.rstrip("/")), stat["linkTarget"]))


def _local_end(path: str) -> End:
    return End(path, exists=os.path.lexists(path), is_dir=Path(path).is_dir())


def _own_name(path: str) -> str:
    """The name the source has in the archive: its own, or "." for what is in a folder."""
    if path.endswith(("/.", f"{os.sep}.")) or path in {".", os.sep, "/"}:
        return "."
    return Path(path).resolve().name if path.endswith("..") else Path(path).name


def _split_local(path: str) -> tuple[str, str]:
    whole = Path(os.path.normpath(path))
    return str(whole.parent), whole.name


def _split_guest(path: str) -> tuple[str, str]:
    folder, name = posixpath.split(posixpath.normpath(posixpath.join("/", path)))
    return folder, name
