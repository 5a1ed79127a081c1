"""A layer moves onto another parent, and shows what it showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import LayerWriter, Progress
from ireko.disk.chain import Chain, open_chain
from ireko.disk.differences import Differences
from ireko.disk.formats import SECTORED
from ireko.disk.operations.rewriting import allowed_folders, left_alone, rewrite, same_as, same_file
from ireko.disk.reference import reference_to
from ireko.disk.transfer import Mover
from ireko.disk.view import NOBODY, View
from ireko.errors import Conflict, InvalidInput


def rebase(path: Path, parent: Path, *, within: Sequence[Path] = (), progress: Progress | None = None) -> None:
    """Put a disk onto another parent; where the two differ, the disk gets what its old parent showed.

    Parents are looked for in the folders `within`, and so must the new one be. Raises Conflict when the new parent stands on the
    disk, InvalidInput when its size or sectors don't fit, and what reading and writing raise.
    """
    folders = allowed_folders(path, within)
    with open_chain(path, within=folders) as chain, open_chain(parent, within=folders) as onto:
        _check(chain, onto)
        info = chain.leaf.info
        new = replace(
            same_as(info, any_sector=True),
            parent=reference_to(onto.leaf.info, path),
            disk_id=onto.base.info.identity.disk or info.identity.disk,
        )
        steps = progress or Progress()
        rewrite(info, new, lambda writer: _fill(chain, onto, writer, steps), done_with=chain)


def _check(chain: Chain, onto: Chain) -> None:
    info, found = chain.leaf.info, onto.leaf.info
    if chain.parent is None:
        raise Conflict(f'the disk "{info.path}" has no parent that another could replace')
    if any(same_file(each.info.path, info.path) for each in onto.layers):
        raise Conflict(f'the disk "{found.path}" stands on "{info.path}", so it can\'t become its parent')
    if info.format in SECTORED and (found.sector_size != info.sector_size or found.size > info.size):
        raise InvalidInput(
            f'the disk "{found.path}" has {found.size} bytes in sectors of {found.sector_size}, '
            f'"{info.path}" {info.size} in sectors of {info.sector_size}'
        )


def _fill(chain: Chain, onto: Chain, writer: LayerWriter, progress: Progress) -> None:
    """Write the layer for its new parent."""
    with left_alone(onto.layers):
        _move(chain, onto, writer, progress)


def _move(chain: Chain, onto: Chain, writer: LayerWriter, progress: Progress) -> None:
    own = View(chain.layers[:1])
    mover = Mover(own, writer, progress)
    differences = Differences(chain.view.below(), View(onto.layers, own.size), writer, progress)
    progress.begin(own.size)
    for extent in own.extents():
        if extent.layer == NOBODY:
            differences.write(extent.offset, extent.end)
        else:
            mover.move(extent)
