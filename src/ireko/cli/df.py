"""`system df`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from ireko.cli import volume
from ireko.cli.group import verb
from ireko.cli.images import image_fields, named
from ireko.cli.images import with_sizes as with_image_sizes
from ireko.cli.ps import container_fields
from ireko.cli.ps import with_sizes as with_container_sizes
from ireko.cli.render import Fields, Format, Item
from ireko.cli.session import Session, pass_session
from ireko.cli.units import human_size
from ireko.errors import InvalidInput

_TABLE = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_IMAGES = ("Repository", "Tag", "ID", "CreatedSince", "UniqueSize", "SharedSize", "Size", "Containers")
_CONTAINERS = (
    "ID", "Image", "Command", "LocalVolumes", "OwnSize", "SharedSize", "TotalSize", "RunningFor", "Status", "Names"
)  # fmt: skip
_VOLUMES = ("Name", "Links", "Size")
_BESIDE = {"Kernels": "kernels", "Lost": "what a repair put in lost/", "Cache": "the cache of recipes"}
_RUNNING = {"running", "paused", "restarting"}


def _reclaimable(item: Item) -> str:
    free, size = item["free"], item["size"]
    return f"{human_size(free)} ({free * 100 // size}%)" if size else human_size(free)


_FIELDS: Fields = {
    "Type": ("TYPE", lambda item: item["type"]),
    "TotalCount": ("TOTAL", lambda item: str(item["total"])),
    "Active": ("ACTIVE", lambda item: str(item["active"])),
    "Size": ("SIZE", lambda item: human_size(item["size"])),
    "Reclaimable": ("RECLAIMABLE", _reclaimable),
}


@verb("df", example="ireko system df -v")
@click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
@click.option("-v", "--verbose", is_flag=True, help="Show every image, container and volume.")
@pass_session
def df(session: Session, *, written: str, verbose: bool) -> None:
    """Show what takes which space.

    Layers are counted once, however many images and containers stand on them, so that the sum is what the disk holds. What lies
    beside them in the root is told last.
    """
    if verbose and written:
        raise InvalidInput("with -v there are tables alone", hint="leave --format out, or -v")
    usage = session.client.system.disk_usage()
    if verbose:
        _verbose(session, usage)
        return
    rows = [_images(usage), _containers(usage), _volumes(usage)]
    Format(written, default=_TABLE).write(session.out, _FIELDS, rows)
    if not written:
        total = human_size(sum(row["size"] for row in rows))
        session.line(f"\nTogether {total}: each layer is counted once, however many images and containers share it.")
        _beside(session, usage)


def _beside(session: Session, usage: Item) -> None:
    found = [f"{_BESIDE[name]} {human_size(size)}" for name, size in (usage.get("Beside") or {}).items() if size]
    if found:
        session.line(f"Beside that: {', '.join(found)}.")


def _images(usage: Item) -> Item:
    images = usage.get("Images") or []
    used = sum(image.get("Containers", 0) > 0 for image in images)
    total, free = (int(usage.get(name) or 0) for name in ("LayersSize", "LayersReclaimable"))
    return _row("Images", images, active=used, size=total, free=free)


def _containers(usage: Item) -> Item:
    containers = usage.get("Containers") or []
    running = [each for each in containers if each["State"] in _RUNNING]
    size = sum(each.get("SizeRw") or 0 for each in containers)
    return _row(
        "Containers", containers, active=len(running), size=size,
        free=size - sum(each.get("SizeRw") or 0 for each in running),
    )  # fmt: skip


def _volumes(usage: Item) -> Item:
    volumes = usage.get("Volumes") or []
    used = [each for each in volumes if (each.get("UsageData") or {}).get("RefCount", 0) > 0]
    size = _data(volumes)
    return _row("Local Volumes", volumes, active=len(used), size=size, free=size - _data(used))


def _data(volumes: Iterable[Item]) -> int:
    return sum(max(0, (each.get("UsageData") or {}).get("Size", 0)) for each in volumes)


def _row(kind: str, items: list[Item], *, active: int, size: int, free: int) -> Item:
    return {"type": kind, "total": len(items), "active": active, "size": size, "free": max(0, free)}


def _verbose(session: Session, usage: Item) -> None:
    now = session.now()
    images = [next(named(image)) for image in usage.get("Images") or []]
    containers = usage.get("Containers") or []
    session.line("Images space usage:\n")
    Format("", default=_IMAGES).write(session.out, with_image_sizes(image_fields(now, full=False)), images)
    session.line(f"\nAll layers together: {human_size(usage.get('LayersSize') or 0)}, each counted once")
    session.line("\nContainers space usage:\n")
    Format("", default=_CONTAINERS).write(
        session.out, with_container_sizes(container_fields(now, full=False)), containers
    )
    session.line("\nLocal Volumes space usage:\n")
    Format("", default=_VOLUMES).write(session.out, volume.FIELDS, usage.get("Volumes") or [])
