"""A disk with all its parents becomes one file: flattening, and converting between formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import open_chain
from ireko.disk.formats import create_layer
from ireko.disk.operations.rewriting import left_alone, refuse_overwriting
from ireko.disk.transfer import transfer


def flatten(
    source: Path,
    target: Path,
    *,
    within: Sequence[Path] = (),
    source_format: str = "",
    target_format: str = "",
    allocation: Allocation = Allocation.DYNAMIC,
    sector_size: int = 0,
    block_size: int = 0,
    fold: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write what a disk shows to a new file that needs no other.

    Parents are looked for as in `open_chain`. By default the sectors are as large as the source's. With `fold` zeros among the
    data are looked for, and take no room. Raises AlreadyThere unless `replace` is set, Conflict when what would be replaced is
    sealed or a layer of the source, or when somebody wrote to the source meanwhile, InvalidInput for what the target's format
    can't hold, and what reading and writing raise.
    """
    with open_chain(source, within=within, format_name=source_format) as chain:
        refuse_overwriting(target, chain.layers)
        info = chain.leaf.info
        new = NewLayer(chain.view.size, allocation, sector_size=sector_size or info.sector_size, block_size=block_size)
        with create_layer(target, new, format_name=target_format, replace=replace) as writer:
            with left_alone(chain.layers):
                transfer(chain.view, writer, progress or Progress(), fold=fold)
            writer.finish()
