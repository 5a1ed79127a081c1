"""`inspect`, for all kinds of objects and for one kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from ireko.cli import complete
from ireko.cli.exit import FAILED, say_error
from ireko.cli.group import Callback, verb
from ireko.cli.session import Session, pass_session
from ireko.cli.template import Template
from ireko.client import Client, Refused
from ireko.errors import InvalidInput, IrekoError, NotFound

Finder = Callable[[str], dict[str, Any]]

_FORMAT = click.option("-f", "--format", "written", default="", metavar="FORMAT", help="json or a template.")
_SIZE = click.option("-s", "--size", is_flag=True, help="Show sizes on disk too.")


def _refs(names: complete.Completer) -> Callable[[Callback], Callback]:
    return click.argument("refs", nargs=-1, required=True, metavar="NAME...", shell_complete=names)


@verb("inspect", example='ireko inspect -f "{{.State.Status}}" web')
@_FORMAT
@_SIZE
@click.option("--type", "kind", default="", metavar="KIND", help="container, image or volume.")
@_refs(complete.anything)
@pass_session
def inspect(session: Session, *, written: str, size: bool, kind: str, refs: tuple[str, ...]) -> int:
    """Show everything about containers, images or volumes."""
    finders = _finders(session.client, size=size)
    if kind and kind not in finders:
        raise InvalidInput(f'"{kind}" is not a valid value for --type', hint=f"one of {', '.join(finders)}")
    finder = finders[kind] if kind else lambda ref: _any(finders, ref)
    return _show(session, refs, finder, written)


@verb("inspect")
@_FORMAT
@_SIZE
@_refs(complete.containers)
@pass_session
def inspect_container(session: Session, *, written: str, size: bool, refs: tuple[str, ...]) -> int:
    """Show everything about containers."""
    return _show(session, refs, _finders(session.client, size=size)["container"], written)


@verb("inspect")
@_FORMAT
@_refs(complete.images)
@pass_session
def inspect_image(session: Session, *, written: str, refs: tuple[str, ...]) -> int:
    """Show everything about images."""
    return _show(session, refs, session.client.images.inspect, written)


@verb("inspect")
@_FORMAT
@_refs(complete.volumes)
@pass_session
def inspect_volume(session: Session, *, written: str, refs: tuple[str, ...]) -> int:
    """Show everything about volumes."""
    return _show(session, refs, session.client.volumes.inspect, written)


def _finders(client: Client, *, size: bool) -> dict[str, Finder]:
    return {
        "container": lambda ref: client.containers.inspect(ref, size=size),
        "image": client.images.inspect,
        "volume": client.volumes.inspect,
    }


def _any(finders: Mapping[str, Finder], ref: str) -> dict[str, Any]:
    """The first kind of object that has this name."""
    for finder in finders.values():
        try:
            return finder(ref)
        except Refused as error:
            if error.status != 404:
                raise
    raise NotFound(f"No such object: {ref}")


def _show(session: Session, refs: tuple[str, ...], finder: Finder, written: str) -> int:
    """Print what was found, then say what was not; the exit code."""
    template = Template("{{json .}}" if written == "json" else written) if written else None
    found: list[dict[str, Any]] = []
    failures: list[IrekoError] = []
    for ref in refs:
        try:
            found.append(finder(ref))
        except IrekoError as error:
            failures.append(error)
    if template is None:
        session.line(json.dumps(found, indent=4, ensure_ascii=False))
    else:
        for item in found:
            session.line(template.render(item))
    session.out.flush()
    for failure in failures:
        say_error(failure, session.err)
    return FAILED if failures else 0
