"""`events`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ireko.cli.group import verb
from ireko.cli.render import Item
from ireko.cli.session import Session, pass_session
from ireko.cli.template import Template
from ireko.cli.units import timestamp

_NANO = 1_000_000_000


@verb("events", example="ireko events --filter type=container --since 10m")
@click.option("-f", "--filter", "where", multiple=True, metavar="KEY=VALUE", help="Show what fits.")
@click.option("--format", "written", default="", metavar="FORMAT", help="json or a template.")
@click.option("--since", default="", metavar="TIME", help="Begin with what happened after this time.")
@click.option("--until", default="", metavar="TIME", help="End at this time.")
@pass_session
def events(session: Session, *, where: tuple[str, ...], written: str, since: str, until: str) -> None:
    """Show what happens, as it happens."""
    now = session.now()
    template = Template("{{json .}}" if written == "json" else written) if written else None
    found = session.client.system.events(since=timestamp(since, now), until=timestamp(until, now), where=where)
    for event in found:
        session.line(template.render(event) if template else _line(event))
        session.out.flush()


def _line(event: Item) -> str:
    """`2026-11-24T15:04:05.000000000+00:00 container start 4f… (image=nano, name=web)`."""
    actor = event.get("Actor") or {}
    attributes = ", ".join(f"{key}={value}" for key, value in sorted((actor.get("Attributes") or {}).items()))
    line = f"{_time(event)} {event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    return f"{line} ({attributes})" if attributes else line


def _time(event: Item) -> str:
    nanoseconds = event.get("timeNano") or event.get("time", 0) * _NANO
    moment = datetime.fromtimestamp(nanoseconds // _NANO, UTC).astimezone()
    zone = moment.isoformat()[19:].replace("+00:00", "Z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % _NANO:09d}{zone}"
