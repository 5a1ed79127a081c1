"""`volume create`, `volume ls`, `volume rm`."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.render import Fields, ask_label, joined_labels, write_list
from ireko.cli.session import Session, pass_session
from ireko.cli.units import human_size

_TABLE = ("Driver", "Name")

FIELDS: Fields = {
    "Name": ("VOLUME NAME", lambda item: item["Name"]),
    "Driver": ("DRIVER", lambda item: item["Driver"]),
    "Scope": ("SCOPE", lambda item: item.get("Scope", "local")),
    "Mountpoint": ("MOUNTPOINT", lambda item: item.get("Mountpoint", "")),
    "Labels": ("LABELS", lambda item: joined_labels(item.get("Labels"))),
    "Label": ("LABEL", ask_label),
    "Availability": ("AVAILABILITY", lambda _item: "N/A"),
    "Group": ("GROUP", lambda _item: "N/A"),
    "Status": ("STATUS", lambda _item: "N/A"),
    "Links": ("LINKS", lambda item: str(item["UsageData"]["RefCount"]) if item.get("UsageData") else "N/A"),
    "Size": ("SIZE", lambda item: human_size(item["UsageData"]["Size"]) if item.get("UsageData") else "N/A"),
}
"""What a row about a volume has."""


@verb("create", example="ireko volume create data")
@click.option("-d", "--driver", default="local", metavar="NAME", help="Only local is known.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Attach a label.")
@click.option("-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="An option of the driver.")
@click.argument("name", required=False, default="")
@pass_session
def create(session: Session, *, driver: str, labels: tuple[str, ...], options: tuple[str, ...], name: str) -> None:
    """Make a volume."""
    made = session.client.volumes.create(name, driver=driver, options=_pairs(options), labels=_pairs(labels))
    session.line(made["Name"])


@verb("ls")
@click.option("-f", "--filter", "where", multiple=True, metavar="KEY=VALUE", help="Show what fits.")
@click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
@click.option("-q", "--quiet", is_flag=True, help="Show names alone.")
@pass_session
def ls(session: Session, *, where: tuple[str, ...], written: str, quiet: bool) -> None:
    """List volumes."""
    volumes = sorted(session.client.volumes.all(where=where), key=lambda item: str(item["Name"]))
    write_list(session.out, FIELDS, volumes, written=written, default=_TABLE, quiet="Name" if quiet else "")


@verb("rm")
@click.option("-f", "--force", is_flag=True, help="Say nothing about volumes that do not exist.")
@click.argument("volumes", nargs=-1, shell_complete=complete.volumes, required=True, metavar="VOLUME...")
@pass_session
def rm(session: Session, *, force: bool, volumes: tuple[str, ...]) -> int:
    """Remove volumes."""
    client = session.client
    return session.each(volumes, lambda name: client.volumes.remove(name, force=force))


def _pairs(words: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}
