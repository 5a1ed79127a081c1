"""Chains of layers in mixed formats, made from contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.reference import reference_to

from .model import MIB, Content, contents

BORDERS = [4096, 16 << 10, 64 << 10, MIB, 2 * MIB]
SUFFIXES = {"raw": "raw", "qcow2": "qcow2", "vhdx": "vhdx", "vhd": "vhd"}


@dataclass(frozen=True)
class Stack:
    """Formats and contents, base first."""

    formats: tuple[str, ...]
    layers: tuple[Content, ...]

    @property
    def size(self) -> int:
        return self.layers[0].runs[-1][1]

    def write(self, folder: Path) -> list[Path]:
        """The layers' files, base first."""
        paths: list[Path] = []
        for number, (name, content) in enumerate(zip(self.formats, self.layers, strict=True)):
            path = folder / f"{number}.{SUFFIXES[name]}"
            add_layer(path, content, paths[-1] if paths else None)
            paths.append(path)
        return paths

    def shown(self, count: int | None = None) -> bytes:
        """What the first layers show."""
        result = bytearray(self.size)
        for content in self.layers[:count]:
            for first, last, kind in content.runs:
                if kind.value != "absent":
                    result[first:last] = content.bytes_of(first, last)
        return bytes(result)


def add_layer(path: Path, content: Content, parent: Path | None = None) -> None:
    """Write one layer."""
    size = content.runs[-1][1]
    block = MIB if path.suffix == ".vhdx" else 0
    new = NewLayer(size, block_size=block)
    if parent:
        with open_layer(parent) as layer:
            reference, disk = reference_to(layer.info, path), layer.info.identity.disk
        new = NewLayer(size, Allocation.DIFFERENCING, block_size=block, parent=reference, disk_id=disk)
    with create_layer(path, new) as writer:
        content.write(writer)
        writer.finish()


@st.composite
def stacks(draw: st.DrawFn, *, deepest: int = 4, all_vhdx: bool = False) -> Stack:
    """A chain of one layer or more."""
    size = draw(st.integers(1, 5 * MIB // 512)) * 512
    base = "vhdx" if all_vhdx else draw(st.sampled_from(["raw", "qcow2", "vhdx", "vhdx", "vhd"]))
    formats = [base]
    for _ in range(draw(st.integers(0, deepest - 1))):
        may = ["qcow2", formats[-1]] if formats[-1] in {"vhdx", "vhd"} else ["qcow2"]
        formats.append("vhdx" if all_vhdx else draw(st.sampled_from(may)))
    layers = [
        draw(contents(size=size, sector=512, anchors=BORDERS, seed=number, longest=50000 // 512 * 512))
        for number in range(len(formats))
    ]
    return Stack(tuple(formats), tuple(layers))
