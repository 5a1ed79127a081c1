"""A layer's file made anew at another place, by one who gives it its name himself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ireko.disk.base import LayerWriter, NewLayer, ParentReference, Progress
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations.rewriting import same_as
from ireko.disk.transfer import transfer
from ireko.disk.view import View


def remake(
    path: Path,
    target: Path,
    *,
    parent: ParentReference | None = None,
    smaller: bool = False,
    format_name: str = "",
    progress: Progress | None = None,
) -> None:
    """Write what a layer holds to a new file, which could take its place: with its identities, its parent as it is recorded.

    `parent` has another one recorded: that it shows the same is the caller's to prove. `smaller` leaves out zeros and unused
    blocks. The layer itself stays as it is.
    """
    with open_layer(path, format_name=format_name) as layer:
        new = same_as(layer.info)
        if parent is not None:
            new = replace(new, parent=parent)
        with create_layer(target, new, format_name=layer.info.format) as writer:
            transfer(View([layer]), writer, progress or Progress(), fold=smaller)
            writer.finish()


def measure(path: Path, *, format_name: str = "", progress: Progress | None = None) -> int:
    """The bytes of a layer's data that are no zeros: less than that its file can't take. All data is read, nothing is written."""
    with open_layer(path, format_name=format_name) as layer:
        counter = _Counter(same_as(layer.info))
        transfer(View([layer]), counter, progress or Progress(), fold=True)
        return counter.data


class _Counter(LayerWriter):
    """Counts what it is given to write."""

    def __init__(self, new: NewLayer) -> None:
        super().__init__(new)
        self.data = 0

    def finish(self) -> None:
        """There is nothing to complete."""

    def abort(self) -> None:
        """There is nothing to leave."""

    def _write_data(self, offset: int, data: memoryview) -> None:
        self.data += len(data)

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        self.data += length

    def _write_zero(self, offset: int, length: int) -> None:
        """Zeros take no room."""
