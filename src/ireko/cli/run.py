"""`run` and `create`."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import click

from ireko.cli import complete, streams, terminal
from ireko.cli.group import verb
from ireko.cli.progress import Progress
from ireko.cli.session import Session, pass_session
from ireko.cli.settings import Settings, options, taken
from ireko.cli.streams import Attached
from ireko.client import Refused
from ireko.errors import Conflict, InvalidInput, IrekoError

_NAME = click.option("--name", default="", help="Its name; without one it gets one.")
_PULL = click.option(
    "--pull", type=click.Choice(["missing", "always", "never"]), default="missing", help="When to get the image first."
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show no progress while an image is made.")
_CIDFILE = click.option(
    "--cidfile", default="", metavar="FILE", help="Write the id to this file, which must not exist."
)
_PLATFORM = click.option("--platform", default="", hidden=True)
_IMAGE = click.argument("image", shell_complete=complete.images)
_COMMAND = click.argument("command", nargs=-1, type=click.UNPROCESSED)


@verb("run", example="ireko run -d --name web -p 8080:80 debian\nireko run --rm -it nano sh", options_first=True)
@options
@_NAME
@_PULL
@_QUIET
@_CIDFILE
@_PLATFORM
@click.option("-d", "--detach", is_flag=True, help="Print the id and leave it to itself.")
@click.option("--detach-keys", default="", metavar="KEYS", help="The keys that leave it to itself (ctrl-p,ctrl-q).")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Send it the signals this command gets, without -t.")
@_IMAGE
@_COMMAND
@pass_session
def run(session: Session, /, **values: Any) -> int:
    """Make a container from an image and start it.

    When there is no such image and a built-in recipe makes it, it is made first.
    """
    settings = taken(values)
    if settings.rm and settings.restart.partition(":")[0] != "no":
        raise InvalidInput("conflicting options: cannot specify both --restart and --rm")
    if values["detach"]:
        return _run_detached(session, settings, values)
    return _run_attached(session, settings, values)


@verb("create", example="ireko create --name web -p 8080:80 debian", options_first=True)
@options
@_NAME
@_PULL
@_QUIET
@_CIDFILE
@_PLATFORM
@_IMAGE
@_COMMAND
@pass_session
def create(session: Session, /, **values: Any) -> None:
    """Make a container without starting it."""
    settings = taken(values)
    session.line(_create(session, settings, values, detach=False))


def _run_detached(session: Session, settings: Settings, values: dict[str, Any]) -> int:
    if settings.attach:
        raise InvalidInput("conflicting options: cannot specify both --attach and --detach")
    identifier = _create(session, settings, values, detach=True)
    session.client.containers.start(identifier)
    session.line(identifier)
    return 0


def _run_attached(session: Session, settings: Settings, values: dict[str, Any]) -> int:
    wanted = settings.streams
    how = Attached.checked(session, stdin="stdin" in wanted, tty=settings.tty, keys=values["detach_keys"])
    identifier = _create(session, settings, values, detach=False)
    containers = session.client.containers
    with contextlib.ExitStack() as stack:
        if values["sig_proxy"] and not how.tty:
            stack.enter_context(streams.forwarded_signals(session.client, lambda: identifier))
        stream = containers.attach(identifier, stdin=how.stdin, stdout="stdout" in wanted, stderr="stderr" in wanted)
        ending = containers.wait(identifier, condition="removed" if settings.rm else "next-exit")
        stayed = streams.run(
            session,
            stream,
            how,
            started=lambda: containers.start(identifier),
            resize=lambda rows, columns: containers.resize(identifier, rows=rows, columns=columns),
        )
        return streams.told_end(session, ending) if stayed else 0


def _create(session: Session, settings: Settings, values: dict[str, Any], *, detach: bool) -> str:
    """Make the container, after its image when that is missing; its id."""
    if values["cidfile"] and os.path.lexists(values["cidfile"]):
        raise Conflict(
            f'container ID file found, make sure the other container isn\'t running or delete "{values["cidfile"]}"'
        )
    body = settings.body(values["image"], values["command"], detach=detach, console=terminal.size(session.out))
    if values["pull"] == "always":
        _get_image(session, values)
    try:
        made = session.client.containers.create(body, name=values["name"])
    except Refused as error:
        if error.status != 404 or values["pull"] == "never" or "no such image" not in error.message.lower():
            raise
        _make_known(session, values)
        _get_image(session, values)
        made = session.client.containers.create(body, name=values["name"])
    for warning in made.get("Warnings") or []:
        session.note(f"WARNING: {warning}")
    if values["cidfile"]:
        with open(values["cidfile"], "x", encoding="ascii") as file:  # noqa: PTH123 - pathlib takes 10 ms to import
            file.write(made["Id"])
    return str(made["Id"])


def _make_known(session: Session, values: dict[str, Any]) -> None:
    """Say that the image is missing, and whether a recipe will make it."""
    session.note(f"Unable to find image '{_named(values['image'])}' locally")
    with contextlib.suppress(IrekoError):
        for recipe in session.client.images.recipes():
            if _named(values["image"]) in recipe.get("References", []):
                session.note(
                    f'Making it with the recipe "{recipe["Name"]}": {recipe.get("Description", "")}'.rstrip(": ")
                )


def _get_image(session: Session, values: dict[str, Any]) -> None:
    from ireko.model.names import Reference

    reference = Reference.parse(values["image"])
    Progress(session.err).show(session.client.images.pull(reference.repository, reference.tag), quiet=values["quiet"])


def _named(image: str) -> str:
    """The name with its tag, as docker says it."""
    from ireko.model.names import Reference, looks_like_id

    try:
        return str(Reference.parse(image))
    except InvalidInput:
        return image if looks_like_id(image) else f'"{image}"'
