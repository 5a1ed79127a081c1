"""`disk map`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ireko.cli.disk.arguments import a_file, parent_folders, source_format, within, written_format
from ireko.cli.disk.listing import plain, write
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item
from ireko.cli.session import Session, pass_session
from ireko.disk.chain import Chain, open_chain
from ireko.disk.view import NOBODY

_TABLE = ("Offset", "Length", "Kind", "FileOffset", "File")
_FIELDS: Fields = plain(Offset="OFFSET", Length="LENGTH", Kind="KIND", FileOffset="AT", File="FILE", Layer="LAYER")


@verb("map", example="ireko disk map web.vhdx\nireko disk map --data --format json web.vhdx")
@click.option("--data", "data_only", is_flag=True, help="Show data alone.")
@written_format
@source_format
@parent_folders
@a_file
@pass_session
def map_(
    session: Session, *, data_only: bool, written: str, source: str | None, folders: tuple[Path, ...], file: Path
) -> None:
    """Show where a disk has data, and in which file it lies.

    Everything is in bytes. A run is "data", "zero" where a layer says that there are zeros, or "absent" where none says
    anything. AT is where data lies in its file as it is; "-" when it lies there in another form.
    """
    with open_chain(file, within=within(file, folders), format_name=source or "") as chain:
        write(session, _FIELDS, _runs(chain, data_only=data_only), written=written, default=_TABLE)


def _runs(chain: Chain, *, data_only: bool) -> Iterator[Item]:
    for offset, length, kind, layer, file_offset in chain.view.extents():
        if data_only and kind.value != "data":
            continue
        nobody = layer == NOBODY
        yield {
            "Offset": offset,
            "Length": length,
            "Kind": "absent" if nobody else kind.value,
            "FileOffset": file_offset,
            "File": None if nobody else str(chain.layers[layer].info.path),
            "Layer": None if nobody else layer,
        }
