"""From layers and containers to the disks that they are, open to be read."""

from __future__ import annotations

from pathlib import Path

from ireko.disk.base import Progress as Steps
from ireko.disk.chain import Chain, open_chain
from ireko.disk.formats import open_layer
from ireko.disk.operations import compare
from ireko.disk.view import View
from ireko.engine import machines
from ireko.engine.context import Context
from ireko.model.container import Container


def of_layer(context: Context, layer_id: str) -> Chain:
    """A layer and all below it; blocks. Raises Damaged and what reading the files raises."""
    return open_chain(context.paths.layer_disk(layer_id), within=folders(context, layer_id))


def of_container(context: Context, container: Container) -> Chain:
    """A container's own disk and all below it; blocks. Raises as `of_layer` does."""
    return open_chain(context.paths.container_disk(container.id), within=folders(context, container.parent))


def first_difference(chain: Chain, path: Path, format_name: str, steps: Steps) -> int | None:
    """Where a disk that was written shows something else than the chain that it was made of, in bytes; None: nowhere. Blocks."""
    with open_layer(path, format_name=format_name) as written:
        view = View([written])
        offset = compare.first_difference(chain.view, view, steps)
        return view.size if offset is None and view.size < chain.view.size else offset


def folders(context: Context, layer_id: str) -> list[Path]:
    """Where the parents of a layer may lie: our own root, and where somebody else's linked files are."""
    linked = (Path(each.path).parent for layer in machines.chain(context, layer_id) for each in layer.linked)
    return [context.paths.root, *dict.fromkeys(linked)]
