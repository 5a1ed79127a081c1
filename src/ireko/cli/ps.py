"""`ps`: the list of containers."""

from __future__ import annotations

from datetime import datetime

import click

from ireko.cli.group import verb
from ireko.cli.render import Fields, Format, Item, ask_label, joined_labels, short_id, write_list
from ireko.cli.session import Session, pass_session
from ireko.cli.text import ellipsis, quote
from ireko.cli.units import human_size, local_time, since

_TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_SIZES = ("OwnSize", "SharedSize", "TotalSize")
_COMMAND_WIDTH = 20
_MOUNT_WIDTH = 15


@verb("ps", example='ireko ps -a --filter status=exited --format "{{.Names}}: {{.Status}}"')
@click.option("-a", "--all", "stopped", is_flag=True, help="Show stopped containers too.")
@click.option("-f", "--filter", "where", multiple=True, metavar="KEY=VALUE", help="Show what fits, like status=exited.")
@click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
@click.option("-n", "--last", type=int, default=-1, metavar="N", help="Show the N containers made last.")
@click.option("-l", "--latest", is_flag=True, help="Show the container made last.")
@click.option("--no-trunc", "full", is_flag=True, help="Shorten nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Show ids alone.")
@click.option("-s", "--size", is_flag=True, help="Show sizes on disk: own, shared with others, in all.")
@pass_session
def ps(
    session: Session, *, stopped: bool, where: tuple[str, ...], written: str, last: int, latest: bool, full: bool,
    quiet: bool, size: bool,
) -> None:  # fmt: skip
    """List containers."""
    if quiet and written:
        session.note("WARNING: Ignoring custom format, because both --format and --quiet are set.")
    listing = Format("" if quiet else written, default=(*_TABLE, *_SIZES) if size else _TABLE)
    limit = 1 if latest and last < 0 else last
    containers = session.client.containers.all(
        stopped=stopped or limit > 0,
        limit=limit if limit > 0 else None,
        size=size or bool({"Size", *_SIZES} & listing.fields),
        where=where,
    )
    fields = container_fields(session.now(), full=full)
    if size or set(_SIZES) & listing.fields:
        fields = with_sizes(fields)
    if quiet:
        write_list(session.out, fields, containers, written="", default=_TABLE, quiet="ID")
    else:
        listing.write(session.out, fields, containers)


def container_fields(now: datetime, *, full: bool) -> Fields:
    """What a row about a container has."""
    return {
        "ID": ("CONTAINER ID", lambda item: short_id(item["Id"], full=full)),
        "Names": ("NAMES", lambda item: _names(item, full=full)),
        "Image": ("IMAGE", lambda item: _image(item, full=full)),
        "Command": ("COMMAND", lambda item: _command(item, full=full)),
        "CreatedAt": ("CREATED AT", lambda item: local_time(item["Created"])),
        "RunningFor": ("CREATED", lambda item: since(item["Created"], now)),
        "Ports": ("PORTS", lambda item: displayed_ports(item.get("Ports") or [])),
        "State": ("STATE", lambda item: item.get("State", "")),
        "Status": ("STATUS", lambda item: item.get("Status", "")),
        "Size": ("SIZE", _size),
        "Labels": ("LABELS", lambda item: joined_labels(item.get("Labels"))),
        "Label": ("LABEL", ask_label),
        "Mounts": ("MOUNTS", lambda item: _mounts(item, full=full)),
        "LocalVolumes": ("LOCAL VOLUMES", lambda item: str(sum(m.get("Driver") == "local" for m in _mounted(item)))),
        "Platform": ("PLATFORM", lambda _item: None),
        "Networks": ("NETWORKS", lambda item: ",".join((item.get("NetworkSettings") or {}).get("Networks") or {})),
    }


def with_sizes(fields: Fields) -> Fields:
    """The same, with the sizes one by one: of the writable layer, of what it stands on, of both."""
    return {
        **fields,
        "OwnSize": ("OWN", lambda item: human_size(_bytes(item, "SizeRw"), digits=3)),
        "SharedSize": ("SHARED", lambda item: human_size(_shared(item), digits=3)),
        "TotalSize": ("SIZE", lambda item: human_size(_shared(item) + _bytes(item, "SizeRw"), digits=3)),
    }


def _bytes(item: Item, name: str) -> int:
    return int(item.get(name) or 0)


def _shared(item: Item) -> int:
    return max(0, _bytes(item, "SizeRootFs") - _bytes(item, "SizeRw"))


def _names(item: Item, *, full: bool) -> str:
    names = [name.removeprefix("/") for name in item.get("Names") or []]
    return ",".join(names if full else [name for name in names if "/" not in name][:1])


def _image(item: Item, *, full: bool) -> str:
    image, identifier = item.get("Image", ""), item.get("ImageID", "")
    if not image:
        return "<no image>"
    if not full and short_id(image) == short_id(identifier):
        return short_id(image)
    return str(image)


def _command(item: Item, *, full: bool) -> str:
    command = item.get("Command", "")
    return quote(command if full else ellipsis(command, _COMMAND_WIDTH))


def _size(item: Item) -> str:
    own, total = _bytes(item, "SizeRw"), _bytes(item, "SizeRootFs")
    return human_size(own, digits=3) + (f" (virtual {human_size(total, digits=3)})" if total else "")


def _mounted(item: Item) -> list[Item]:
    return item.get("Mounts") or []


def _mounts(item: Item, *, full: bool) -> str:
    names = [mount.get("Name") or mount.get("Source", "") for mount in _mounted(item)]
    return ",".join(name if full else ellipsis(name, _MOUNT_WIDTH) for name in names)


def displayed_ports(ports: list[Item]) -> str:
    """`0.0.0.0:8080->80/tcp, 443/tcp`; neighbours become a range, as docker's table shows them."""
    groups: dict[str, tuple[int, int]] = {}
    closed: list[str] = []
    mapped: list[str] = []
    for port in sorted(ports, key=_port_order):
        private, public, address = port["PrivatePort"], port.get("PublicPort", 0), port.get("IP", "")
        if address and public != private:
            mapped.append(f"{_host(address)}:{public}->{private}/{port['Type']}")
            continue
        key = f"{address}/{port['Type']}" if address else port["Type"]
        if key in groups and groups[key][1] != private - 1:
            closed.append(_range(key, groups[key]))
            groups[key] = (private, private)
        else:
            groups[key] = (groups.get(key, (private, private))[0], private)
    return ", ".join([*closed, *(_range(key, group) for key, group in groups.items()), *mapped])


def _port_order(port: Item) -> tuple[object, ...]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _range(key: str, group: tuple[int, int]) -> str:
    address, _, protocol = key.rpartition("/")
    ports = str(group[0]) if group[0] == group[1] else f"{group[0]}-{group[1]}"
    return f"{_host(address)}:{ports}->{ports}/{protocol}" if address else f"{ports}/{protocol}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
