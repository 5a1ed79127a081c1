"""From layers and containers to the disks that they are, open to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Extent, ExtentKind, Problem
from ireko.disk.base import Layer as OpenLayer
from ireko.disk.base import Progress as Steps
from ireko.disk.chain import Chain, open_chain
from ireko.disk.files import WritableBuffer
from ireko.disk.formats import open_layer
from ireko.disk.operations import compare
from ireko.disk.view import NOBODY, View
from ireko.engine import machines
from ireko.engine.context import Context
from ireko.model.container import Container
from ireko.model.image import Layer


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


def source_of(context: Context, layer: Layer) -> OpenLayer:
    """What a layer adds, open to be read; one that is linked adds what the files hold that it stands on. Blocks."""
    own = open_layer(context.paths.layer_disk(layer.id), format_name=layer.format)
    opened = [own]
    try:
        opened += (open_layer(Path(each.path), format_name=each.format) for each in layer.linked)
    except BaseException:
        for each in opened:
            each.close()
        raise
    return _Stack(opened) if layer.linked else own


class _Stack(OpenLayer):
    """Several layers, newest first, as if they were one that has no parent."""

    def __init__(self, layers: Sequence[OpenLayer]) -> None:
        own = layers[0]
        super().__init__(own.file, replace(own.info, parent=None))
        self._layers = tuple(layers)
        self._view = View(self._layers)

    def check(self, progress: Steps) -> Iterator[Problem]:
        """That of each layer."""
        for each in self._layers:
            yield from each.check(progress)

    def close(self) -> None:
        """May be repeated."""
        for each in self._layers:
            each.close()

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        for extent in self._view.extents(start, end):
            kind = ExtentKind.ABSENT if extent.layer == NOBODY else extent.kind
            yield Extent(extent.offset, extent.length, kind)

    def _read_encoded(self, offset: int, view: memoryview) -> None:
        buffer: WritableBuffer = view
        self._view.read_into(offset, buffer)
