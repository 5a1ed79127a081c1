"""`disk diff`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ireko.cli.disk.arguments import each, looks_at_disks, quiet_flag, within
from ireko.cli.disk.listing import plain, write
from ireko.cli.disk.working import working
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item
from ireko.cli.session import Session, pass_session
from ireko.cli.units import binary_size
from ireko.disk.base import ExtentKind, Layer
from ireko.disk.chain import chain_ids, open_chain
from ireko.disk.formats import open_layer

_TABLE = ("File", "Data", "Zeros", "Extents")
_TABLE_IDS = (*_TABLE, "DiffId", "ChainId")
_TABLE_EXTENTS = ("Offset", "Length", "Kind")
_FIELDS: Fields = {
    **plain(
        File="FILE",
        VirtualSize="VIRTUAL SIZE",
        DataSize="DATA SIZE",
        ZeroSize="ZERO SIZE",
        Extents="EXTENTS",
        DiffId="DIFF ID",
        ChainId="CHAIN ID",
    ),
    "Data": ("DATA", lambda item: binary_size(item["DataSize"])),
    "Zeros": ("ZEROS", lambda item: binary_size(item["ZeroSize"])),
}
_EXTENT_FIELDS: Fields = plain(Offset="OFFSET", Length="LENGTH", Kind="KIND")


@verb("diff", example="ireko disk diff --ids web.vhdx web.qcow2\nireko disk diff --extents web.vhdx")
@click.option("--extents", is_flag=True, help="Show each run of data or zeros of one FILE, in bytes.")
@click.option("--ids", is_flag=True, help="Show diff ids and chain ids; layers without a seal are read for them.")
@looks_at_disks
@quiet_flag
@pass_session
def diff(
    session: Session, *, extents: bool, ids: bool, written: str, source: str | None, folders: tuple[Path, ...],
    quiet: bool, files: tuple[Path, ...],
) -> int:  # fmt: skip
    """Show what layers add to their parents.

    The diff id stands for what a layer adds, the chain id for what it shows with everything below it. Both are the same
    for the same content in any format.
    """
    if extents:
        if ids or len(files) > 1:
            raise click.UsageError("--extents takes one FILE, and no --ids")
        with open_layer(files[0], format_name=source or "") as layer:
            write(session, _EXTENT_FIELDS, _extents(layer), written=written, default=_TABLE_EXTENTS)
        return 0
    items: list[Item] = []

    def look(file: Path) -> None:
        found = _ids(session, file, within(file, folders), source or "", quiet=quiet) if ids else {}
        with open_layer(file, format_name=source or "") as layer:
            items.append(_sums(layer) | found)

    code = each(session, files, look)
    write(session, _FIELDS, items, written=written, default=_TABLE_IDS if ids else _TABLE)
    return code


def _sums(layer: Layer) -> Item:
    sizes = dict.fromkeys(ExtentKind, 0)
    count = 0
    for extent in layer.extents():
        sizes[extent.kind] += extent.length
        count += extent.kind is not ExtentKind.ABSENT
    return {
        "File": str(layer.info.path),
        "VirtualSize": layer.info.size,
        "DataSize": sizes[ExtentKind.DATA],
        "ZeroSize": sizes[ExtentKind.ZERO],
        "Extents": count,
        "DiffId": None,
        "ChainId": None,
    }


def _extents(layer: Layer) -> Iterator[Item]:
    for extent in layer.extents():
        if extent.kind is not ExtentKind.ABSENT:
            yield {
                "Offset": extent.offset,
                "Length": extent.length,
                "Kind": extent.kind.value,
            }


def _ids(session: Session, file: Path, folders: tuple[Path, ...], source: str, *, quiet: bool) -> Item:
    with (
        open_chain(file, within=folders, format_name=source) as chain,
        working(session, f"reading {file}", quiet=quiet) as progress,
    ):
        diff_id, chain_id = chain_ids(chain.layers, progress)[0]
    return {"DiffId": diff_id, "ChainId": chain_id}
