"""A disk grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Progress
from ireko.disk.formats import open_layer
from ireko.disk.operations.rewriting import allowed_folders, refuse_children, rewrite, same_as
from ireko.disk.seals import read_seal
from ireko.disk.transfer import transfer
from ireko.disk.view import View
from ireko.errors import Conflict, InvalidInput


def resize(
    path: Path, size: int, *, format_name: str = "", within: Sequence[Path] = (), progress: Progress | None = None
) -> None:
    """Make a disk `size` bytes large; what is new reads as zeros. Its partitions and file systems stay as they are.

    Raises InvalidInput for less than it has, Conflict when it is sealed, or when disks in the folders `within` stand on it.
    """
    with open_layer(path, format_name=format_name) as layer:
        info = layer.info
        if size < info.size or size % info.sector_size:
            raise InvalidInput(
                f'the disk "{path}" can\'t be made {size} bytes large, only {info.size} or more, '
                f"in multiples of {info.sector_size}"
            )
        if read_seal(path):
            raise Conflict(
                f'the disk "{path}" is sealed, so its size stays', hint="make a disk on top of it, and grow that"
            )
        refuse_children(path, allowed_folders(path, within))
        view, steps = View([layer]), progress or Progress()
        same = same_as(info, any_sector=info.parent is not None and bool(info.size % (info.block_size or 1)))
        rewrite(
            info, replace(same, size=size, content_id=""), lambda writer: transfer(view, writer, steps), done_with=layer
        )
