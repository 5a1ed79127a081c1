"""Short looks at one container: `diff`, `top`, `port`."""

from __future__ import annotations

import re
from typing import Any

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.render import aligned
from ireko.cli.session import Session, pass_session
from ireko.errors import NotFound

_LETTERS = "CAD"
_TOP_MINIMUM = 20


@verb("diff")
@click.argument("container", shell_complete=complete.containers)
@pass_session
def diff(session: Session, *, container: str) -> None:
    """Show which files differ from the image.

    A is added, C is changed, D is deleted.
    """
    for change in session.client.containers.changes(container):
        session.line(f"{_LETTERS[change['Kind']]} {change['Path']}")


@verb("top", options_first=True)
@click.argument("container", shell_complete=complete.containers)
@click.argument("arguments", nargs=-1, metavar="[PS OPTIONS]", type=click.UNPROCESSED)
@pass_session
def top(session: Session, *, container: str, arguments: tuple[str, ...]) -> None:
    """Show the processes of a container."""
    found = session.client.containers.top(container, arguments=" ".join(arguments))
    rows = ["\t".join(row) for row in [found["Titles"], *(found["Processes"] or [])]]
    session.out.write(aligned("".join(f"{row}\n" for row in rows), minimum=_TOP_MINIMUM))


@verb("port", example="ireko port web 80/tcp")
@click.argument("container", shell_complete=complete.containers)
@click.argument("port", required=False, metavar="[PORT[/PROTOCOL]]")
@pass_session
def port(session: Session, *, container: str, port: str | None) -> None:
    """Show the published ports of a container."""
    published = session.client.containers.inspect(container)["NetworkSettings"]["Ports"] or {}
    if port is None:
        lines = [f"{key} -> {_address(each)}" for key, bound in published.items() for each in bound or []]
    else:
        key = port if "/" in port else f"{port}/tcp"
        lines = [_address(each) for each in published.get(key) or []]
        if not lines:
            raise NotFound(f"no public port '{port}' published for {container}")
    for line in sorted(lines, key=_natural):
        session.line(line)


def _address(bound: dict[str, Any]) -> str:
    host = bound["HostIp"]
    return f"[{host}]:{bound['HostPort']}" if ":" in host else f"{host}:{bound['HostPort']}"


def _natural(text: str) -> list[tuple[int, str]]:
    """The order in which 9 comes before 10."""
    return [(int(digits or -1), rest) for digits, rest in re.findall(r"(\d*)(\D*)", text)]
