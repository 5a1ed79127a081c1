"""A disk grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import LayerInfo, LayerWriter, Progress
from ireko.disk.chain import Chain, open_chain
from ireko.disk.differences import hide
from ireko.disk.formats import SECTORED, open_layer
from ireko.disk.operations.rewriting import allowed_folders, refuse_children, rewrite, same_as
from ireko.disk.seals import read_seal
from ireko.disk.transfer import transfer
from ireko.disk.view import View
from ireko.errors import Conflict, InvalidInput


def resize(
    path: Path, size: int, *, format_name: str = "", within: Sequence[Path] = (), progress: Progress | None = None
) -> None:
    """Make a disk `size` bytes large; what is new reads as zeros. Its partitions and file systems stay as they are.

    Parents are looked for in the folders `within`, when they could be larger than the disk. Raises InvalidInput for less than
    it has, Conflict when it is sealed, or when disks in the folders `within` stand on it, and what reading and writing raise.
    """
    folders, steps = allowed_folders(path, within), progress or Progress()
    with _opened(path, folders, format_name) as chain:
        info = chain.leaf.info
        _check(info, size)
        refuse_children(path, folders)
        new = replace(same_as(info, any_sector=_ends_in_a_block(chain)), size=size, content_id="")
        rewrite(info, new, lambda writer: _fill(chain, writer, steps), done_with=chain)


def _opened(path: Path, folders: Sequence[Path], format_name: str) -> Chain:
    """The disk, with its parents where they may be larger: what they have behind its end must not come to light."""
    layer = open_layer(path, format_name=format_name)
    if layer.info.parent is None or layer.info.format in SECTORED:
        return Chain([layer])
    layer.close()
    return open_chain(path, within=folders, format_name=format_name)


def _check(info: LayerInfo, size: int) -> None:
    if size < info.size or size % info.sector_size:
        raise InvalidInput(
            f'the disk "{info.path}" can\'t be made {size} bytes large, only {info.size} or more, '
            f"in multiples of {info.sector_size}"
        )
    if read_seal(info.path):
        raise Conflict(
            f'the disk "{info.path}" is sealed, so its size stays', hint="make a disk on top of it, and grow that"
        )


def _ends_in_a_block(chain: Chain) -> bool:
    """Whether something in the larger disk will begin or end inside a block of the old one."""
    info, parent = chain.leaf.info, chain.parent
    return info.parent is not None and bool(
        info.size % (info.block_size or 1) or (parent and parent.info.size > info.size)
    )


def _fill(chain: Chain, writer: LayerWriter, progress: Progress) -> None:
    transfer(View(chain.layers[:1]), writer, progress)
    if chain.parent:
        hide(View(chain.layers[1:]), chain.leaf.info.size, writer.new.size, writer)
