"""Removing what nothing uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.units import human_size

_FORCE = click.option("-f", "--force", is_flag=True, help="Do not ask.")
_WHERE = click.option("--filter", "where", multiple=True, metavar="KEY=VALUE", help="Remove only what fits.")


@verb("prune")
@_FORCE
@_WHERE
@pass_session
def prune_containers(session: Session, *, force: bool, where: tuple[str, ...]) -> None:
    """Remove all stopped containers."""
    if _sure(session, force, "This will remove all stopped containers."):
        _total(session, _containers(session, where))


@verb("prune")
@click.option("-a", "--all", "unused", is_flag=True, help="Remove images with a name too when no container uses them.")
@_FORCE
@_WHERE
@pass_session
def prune_images(session: Session, *, unused: bool, force: bool, where: tuple[str, ...]) -> None:
    """Remove images that nothing uses."""
    what = "all images without at least one container associated to them" if unused else "all dangling images"
    if _sure(session, force, f"This will remove {what}."):
        _total(session, _images(session, where, unused=unused))


@verb("prune")
@click.option("-a", "--all", "named", is_flag=True, help="Remove volumes with a name too.")
@_FORCE
@_WHERE
@pass_session
def prune_volumes(session: Session, *, named: bool, force: bool, where: tuple[str, ...]) -> None:
    """Remove volumes that no container uses."""
    what = "all local volumes" if named else "anonymous local volumes"
    if _sure(session, force, f"This will remove {what} not used by at least one container."):
        _total(session, _volumes(session, where, named=named))


@verb("prune")
@click.option("-a", "--all", "unused", is_flag=True, help="Remove images with a name too when no container uses them.")
@click.option("--volumes", is_flag=True, help="Remove unnamed volumes that no container uses.")
@_FORCE
@_WHERE
@pass_session
def prune_system(session: Session, *, unused: bool, volumes: bool, force: bool, where: tuple[str, ...]) -> None:
    """Remove everything that nothing uses."""
    images = "all images without at least one container associated to them" if unused else "all dangling images"
    parts = [
        "all stopped containers",
        *(["all anonymous volumes not used by at least one container"] if volumes else []),
        images,
    ]
    if not _sure(session, force, "This will remove:\n" + "".join(f"  - {part}\n" for part in parts)):
        return
    reclaimed = _containers(session, where)
    if volumes:
        reclaimed += _volumes(session, where, named=False)
    _total(session, reclaimed + _images(session, where, unused=unused))


def _sure(session: Session, force: bool, what: str) -> bool:
    return force or session.confirm(f"WARNING! {what}\nAre you sure you want to continue?")


def _containers(session: Session, where: tuple[str, ...]) -> int:
    gone = session.client.containers.prune(where=where)
    return _deleted(session, "Containers", gone.get("ContainersDeleted"), gone)


def _images(session: Session, where: tuple[str, ...], *, unused: bool) -> int:
    gone = session.client.images.prune(dangling=not unused, where=where)
    lines = [
        f"untagged: {each['Untagged']}" if each.get("Untagged") else f"deleted: {each['Deleted']}"
        for each in gone.get("ImagesDeleted") or []
    ]
    return _deleted(session, "Images", lines, gone)


def _volumes(session: Session, where: tuple[str, ...], *, named: bool) -> int:
    gone = session.client.volumes.prune(named=named, where=where)
    return _deleted(session, "Volumes", gone.get("VolumesDeleted"), gone)


def _deleted(session: Session, title: str, names: Iterable[str] | None, gone: dict[str, Any]) -> int:
    lines = list(names or [])
    if lines:
        session.line(f"Deleted {title}:")
        for line in lines:
            session.line(line)
        session.line("")
    return int(gone.get("SpaceReclaimed") or 0)


def _total(session: Session, reclaimed: int) -> None:
    session.line(f"Total reclaimed space: {human_size(reclaimed)}")
