"""A layer's content goes into its parent, and the layer is gone."""

from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Kept, Layer, Progress
from ireko.disk.chain import Chain, open_chain
from ireko.disk.differences import write_merged
from ireko.disk.errors import told
from ireko.disk.files import real_path
from ireko.disk.formats import open_layer
from ireko.disk.links import ChainBroken, Folders, candidates
from ireko.disk.operations.rewriting import (
    allowed_folders,
    refuse_children,
    refuse_smaller,
    refuse_snapshots,
    remove_seal,
    rewrite,
    same_as,
)
from ireko.disk.use import refuse_use
from ireko.disk.view import View
from ireko.errors import Conflict, IrekoError


def commit(path: Path, *, within: Sequence[Path] = (), progress: Progress | None = None) -> Path:
    """Merge a disk into its parent, and delete it; the parent's path.

    Raises Conflict when it has no parent, when a machine writes to it or it holds snapshots, or when other disks in the
    folders `within` stand on either: they would break; InvalidInput when the parent would become too small for its own. The
    parent gets a new identity, so that such disks elsewhere are refused instead of misread. When it was interrupted between its
    two steps, the parent's change and the disk's end, doing it again completes it.
    """
    folders = allowed_folders(path, within)
    try:
        chain = open_chain(path, within=folders)
    except ChainBroken:
        if (merged := _merged_already(path, folders)) is None:
            raise
        _remove(path)
        return merged
    with chain:
        parent = _parent(chain)
        refuse_use(path)
        refuse_snapshots(chain.leaf.info)
        refuse_children(parent, folders, but=path)
        refuse_children(path, folders)
        _merge(chain, progress or Progress())
    _remove(path)
    return parent


def _parent(chain: Chain) -> Path:
    if chain.parent is None:
        raise Conflict(f'the disk "{chain.leaf.info.path}" has no parent that it could be merged into')
    return chain.parent.info.path


def _merge(chain: Chain, progress: Progress) -> None:
    child, parent = chain.layers[0], chain.layers[1]
    if child.info.sector_size != parent.info.sector_size:
        raise Conflict(
            f'"{child.info.path}" has sectors of {child.info.sector_size} bytes, '
            f'"{parent.info.path}" of {parent.info.sector_size}: they can\'t be merged'
        )
    if len(chain.layers) > 2:  # the parent becomes as large as the child
        refuse_smaller(parent.info.path, child.info.size, parent.info.format, chain.layers[2].info)
    top, below = View((child, parent)), View(chain.layers[2:], child.info.size)
    same = same_as(parent.info, any_sector=True)
    new = replace(same, size=child.info.size, content_id=_identity(child, parent), kept=_kept(child, parent))
    rewrite(parent.info, new, lambda writer: write_merged(top, below, writer, progress), done_with=chain)


def _identity(child: Layer, parent: Layer) -> str:
    """What is shown is what the child shows; by that an interrupted merge is known again."""
    return child.info.identity.content if child.info.format == parent.info.format else ""


def _kept(child: Layer, parent: Layer) -> tuple[Kept, ...]:
    """What goes along of both: what belongs to the disk is the child's, what belongs to the file the parent's."""
    if child.info.format != parent.info.format:
        return parent.info.kept
    of_file = [each for each in parent.info.kept if not each.of_disk]
    return (*of_file, *(each for each in child.info.kept if each.of_disk))


def _merged_already(path: Path, folders: Sequence[Path]) -> Path | None:
    """The parent, when it shows what the disk does."""
    allowed = Folders(folders)
    with open_layer(path) as layer:
        info = layer.info
    if info.parent is None or not info.identity.content:
        return None
    for each in candidates(path, info.parent, allowed):
        if allowed.allow(each) and _content_of(each) == info.identity.content:
            return each
    return None


def _content_of(path: Path) -> str:
    try:
        with open_layer(path) as layer:
            return layer.info.identity.content
    except IrekoError:
        return ""


def _remove(path: Path) -> None:
    real = real_path(path)
    with told(path):
        if sys.platform == "win32":
            real.chmod(stat.S_IWRITE)  # a read-only file can't be deleted there
        real.unlink()
        path.unlink(missing_ok=True)
    remove_seal(real)
