"""A layer in another format, still a layer: the counterpart of its parent is its parent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ireko.disk.base import Allocation, Layer, NewLayer, Progress
from ireko.disk.chain import open_chain
from ireko.disk.delta import identity_of, read_delta, write_delta
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations.rewriting import refuse_overwriting
from ireko.disk.reference import reference_to
from ireko.disk.seals import intact_seal
from ireko.errors import Conflict, InvalidInput


def convert_layer(
    source: Path,
    target: Path,
    *,
    parent: Path | None = None,
    within: Sequence[Path] = (),
    source_format: str = "",
    target_format: str = "",
    replace: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write what one layer adds to a new layer in another format; its diff id, which is the source's too.

    `parent` is the counterpart of the source's parent: it shows the same, in the target's format. None for a base. When the
    layers are sealed that is proven; the new layer's identity then follows from its content. Raises Conflict when it is shown
    to be another, InvalidInput when there must be a parent or none, what reading and writing raise, and for a target that
    exists what `flatten` raises.
    """
    with open_layer(source, format_name=source_format) as layer:
        if (parent is None) is not (layer.info.parent is None):
            state = "has a parent, whose counterpart must be named" if layer.info.parent else "is a base"
            raise InvalidInput(f'the disk "{source}" {state}')
        refuse_overwriting(target, [layer])
        new = _child(layer, target, parent, within) if parent else _base(layer)
        with create_layer(target, new, format_name=target_format, replace=replace) as writer:
            found = write_delta(read_delta(layer, progress or Progress()), writer)
            _check(layer, found)
            writer.finish()
        return found


def _base(layer: Layer) -> NewLayer:
    seal = intact_seal(layer.info.path, layer.file)
    identity = identity_of(seal.chain_id) if seal else ""
    return NewLayer(layer.info.size, sector_size=layer.info.sector_size, content_id=identity, disk_id=identity)


def _child(layer: Layer, target: Path, parent: Path, within: Sequence[Path]) -> NewLayer:
    seal = intact_seal(layer.info.path, layer.file)
    with open_chain(parent, within=within) as chain:
        refuse_overwriting(target, chain.layers)
        below = chain.leaf
        parent_seal = intact_seal(parent, below.file)
        if seal and parent_seal and seal.parent_chain_id != parent_seal.chain_id:
            raise Conflict(
                f'"{parent}" shows {parent_seal.chain_id}, the parent of "{layer.info.path}" {seal.parent_chain_id}: '
                f"it is not its counterpart"
            )
        return NewLayer(
            layer.info.size,
            Allocation.DIFFERENCING,
            sector_size=below.info.sector_size,
            parent=reference_to(below.info, target),
            content_id=identity_of(seal.chain_id) if seal else "",
            disk_id=chain.base.info.identity.disk,
        )


def _check(layer: Layer, found: str) -> None:
    seal = intact_seal(layer.info.path, layer.file)
    if seal and seal.diff_id != found:
        raise Conflict(f'the disk "{layer.info.path}" adds {found}, but was sealed with {seal.diff_id}')
