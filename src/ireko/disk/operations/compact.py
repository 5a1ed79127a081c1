"""A layer gives back the room that zeros and unused blocks take."""

from __future__ import annotations

from pathlib import Path

from ireko.disk.base import ExtentKind, Layer, Progress
from ireko.disk.errors import told
from ireko.disk.formats import open_layer
from ireko.disk.operations.remake import measure
from ireko.disk.operations.rewriting import rewrite, same_as
from ireko.disk.seals import intact_seal
from ireko.disk.transfer import transfer
from ireko.disk.view import View


def compact(path: Path, *, format_name: str = "", progress: Progress | None = None) -> int:
    """Write a layer anew without what it doesn't need; the bytes by which its file became shorter.

    It shows and adds the same afterwards: its identity, its diff id and its seal stay, and so do the disks that stand on it.
    What was compressed is plain then; a file that would become larger by that stays as it is.
    """
    with open_layer(path, format_name=format_name) as layer:
        seal = intact_seal(layer)
        before = layer.file.length()
        view, steps = View([layer]), progress or Progress()
        if _compressed(layer) and measure(path, format_name=format_name, progress=steps) >= before:
            return 0
        rewrite(
            layer.info,
            same_as(layer.info),
            lambda writer: transfer(view, writer, steps, fold=True),
            done_with=layer,
            seal=seal,
        )
    with told(path):
        return before - path.stat().st_size


def _compressed(layer: Layer) -> bool:
    """Whether some of a layer's data lies in its file in another form."""
    return any(extent.kind is ExtentKind.DATA and extent.file_offset is None for extent in layer.extents())
