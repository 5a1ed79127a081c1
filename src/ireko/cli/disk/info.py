"""`disk info`."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from ireko.cli.disk.arguments import each, looks_at_disks, within
from ireko.cli.disk.links import Link, Walk, walk
from ireko.cli.disk.listing import plain, write
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item, aligned
from ireko.cli.session import Session, pass_session
from ireko.cli.text import printable
from ireko.cli.units import binary_size
from ireko.disk.base import LayerInfo

_TABLE = ("File", "Format", "Allocation", "Size", "OnDisk", "Depth", "State")
_KEY_WIDTH = 17

FIELDS: Fields = {
    **plain(
        File="FILE",
        Format="FORMAT",
        Allocation="ALLOCATION",
        VirtualSize="VIRTUAL SIZE",
        Length="LENGTH",
        DiskSize="SIZE ON DISK",
        BlockSize="BLOCK SIZE",
        SectorSize="SECTOR SIZE",
        PhysicalSectorSize="PHYSICAL SECTOR SIZE",
        ContentId="CONTENT ID",
        DiskId="DISK ID",
        Dirty="DIRTY",
        InUse="IN USE",
        Sealed="SEALED",
        DiffId="DIFF ID",
        ChainId="CHAIN ID",
        Parent="PARENT",
        Details="DETAILS",
        Chain="CHAIN",
        State="STATE",
        Error="ERROR",
    ),
    "Size": ("VIRTUAL SIZE", lambda item: binary_size(item["VirtualSize"])),
    "OnDisk": ("ON DISK", lambda item: binary_size(item["DiskSize"])),
    "Depth": ("LAYERS", lambda item: len(item["Chain"])),
}


@verb("info", example="ireko disk info web.vhdx\nireko disk info --format '{{.VirtualSize}}' web.vhdx")
@looks_at_disks
@pass_session
def info(
    session: Session, *, written: str, source: str | None, folders: tuple[Path, ...], files: tuple[Path, ...]
) -> int:
    """Show what disks are, and the chains that they stand on.

    No data is read. A chain that is broken is shown as far as it holds, and is no failure: `ireko disk check` judges.
    """
    found: list[Walk] = []
    code = each(session, files, lambda file: found.append(walk(file, within(file, folders), source=source or "")))
    if written:
        write(session, FIELDS, (_item(each) for each in found), written=written, default=_TABLE)
    else:
        session.out.write("\n".join(_block(each) for each in found))
    return code


def _item(walk: Walk) -> Item:
    info = walk.links[0].info
    error = walk.broken
    return {
        **_layer(walk.links[0]),
        "BlockSize": info.block_size,
        "SectorSize": info.sector_size,
        "PhysicalSectorSize": info.physical_sector_size,
        "Parent": _parent(info),
        "Details": info.details,
        "Chain": _layers(walk),
        "State": "broken" if error else "ok",
        "Error": error.message if error else "",
    }


def _layers(walk: Walk) -> list[Item]:
    """What stands in the chain; the last one is broken when the parent that it must have can't be had."""
    last = len(walk.links) - 1
    broken = last if walk.broken else None
    return [{**_layer(link), "State": "broken" if number == broken else "ok"} for number, link in enumerate(walk.links)]


def _layer(link: Link) -> Item:
    info, seal = link.info, link.seal
    return {
        "File": str(info.path),
        "Format": info.format,
        "Allocation": info.allocation.value,
        "VirtualSize": info.size,
        "Length": link.length,
        "DiskSize": link.used,
        "ContentId": info.identity.content,
        "DiskId": info.identity.disk,
        "Dirty": info.dirty,
        "InUse": link.in_use,
        "Sealed": seal is not None,
        "DiffId": seal.diff_id if seal else "",
        "ChainId": seal.chain_id if seal else "",
    }


def _parent(info: LayerInfo) -> Item | None:
    if info.parent is None:
        return None
    paths = [{"Kind": each.kind.value, "Path": each.text} for each in info.parent.paths]
    return {"Paths": paths, "Ids": list(info.parent.identities), "Format": info.parent.format}


def _block(walk: Walk) -> str:
    """All about one disk, for people."""
    lines = [str(walk.links[0].info.path)]
    facts = [(f"{key}:", value) for key, value in _facts(walk.links[0]) if value]
    width = max(_KEY_WIDTH, *(len(key) + 1 for key, _ in facts))
    lines += [f" {key:<{width}}{value}" for key, value in facts]
    lines += [" Chain:", *_chain(walk)]
    return "".join(f"{printable(line)}\n" for line in lines)


def _facts(link: Link) -> Iterator[tuple[str, str]]:
    info = link.info
    yield "Format", f"{info.format}, {info.allocation.value}"
    yield "Virtual size", _exact(info.size)
    yield "Size on disk", f"{binary_size(link.used)} in a file of {_exact(link.length)}"
    yield "Block size", _exact(info.block_size) if info.block_size else ""
    yield "Sector size", f"{info.sector_size} bytes, {info.physical_sector_size} physical"
    yield "Content id", info.identity.content
    yield "Disk id", info.identity.disk
    yield "State", _use(link)
    yield "Seal", _seal(link)
    if info.parent:
        yield "Parent", ", ".join(each.text for each in info.parent.paths) or "not a file"
        yield "Parent's id", " or ".join(info.parent.identities)
    for key, value in info.details.items():
        yield key[:1].upper() + key[1:], value.strip()


def _use(link: Link) -> str:
    if link.in_use:
        return "in use by a machine that runs"
    return "not closed after its last use, or in use now" if link.info.dirty else "closed"


def _seal(link: Link) -> str:
    return link.seal.chain_id if link.seal else link.seal_error and f"broken: {link.seal_error}"


def _exact(count: int) -> str:
    return f"{binary_size(count)} ({count} bytes)" if count >= 1024 else f"{count} bytes"


def _chain(walk: Walk) -> list[str]:
    """A row for each link, and why there is no more of them."""
    cells = itemgetter("File", "Format", "Allocation", "Size", "OnDisk", "State")
    rows = [
        cells({**item, "Size": binary_size(item["VirtualSize"]), "OnDisk": binary_size(item["DiskSize"])})
        for item in _layers(walk)
    ]
    text = aligned("".join("\t".join(row) + "\n" for row in rows), minimum=0)
    lines = [f"  {line}" for line in text.splitlines()]
    if walk.broken:
        lines.append(f"  why: {walk.broken.message}")
        lines += [f"  hint: {walk.broken.hint}"] if walk.broken.hint else []
    return lines
