"""A layer in another format, still a layer: the counterpart of its parent is its parent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ireko.disk.base import Allocation, Layer, NewLayer, Progress
from ireko.disk.chain import Chain, chain_ids, follow_chain, open_chain
from ireko.disk.delta import chain_id, identity_of, read_delta, write_delta
from ireko.disk.formats import create_layer, format_for, open_layer
from ireko.disk.operations.compare import first_difference
from ireko.disk.operations.rewriting import left_alone, refuse_overwriting, refuse_smaller
from ireko.disk.reference import reference_to
from ireko.disk.seals import Seal, intact_seal
from ireko.disk.view import View
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
    compared: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write what one layer adds to a new layer in another format; its diff id, which is the source's too.

    `parent` is the counterpart of the source's parent: it shows the same, in the target's format. None for a base. When the
    layers are sealed that is proven; the new layer's identity then follows from its chain id. `compared` tells that it was
    proven by comparing, as by `prove_counterpart`: a disk of other layers can show the same. Raises Conflict when it is shown to
    be another, InvalidInput when there must be a parent or none, or one that is not larger, what reading and writing raise, and
    for a target that exists what `flatten` raises.
    """
    with open_layer(source, format_name=source_format) as layer:
        if (parent is None) is not (layer.info.parent is None):
            state = "has a parent, whose counterpart must be named" if layer.info.parent else "is a base"
            raise InvalidInput(f'the disk "{source}" {state}')
        refuse_overwriting(target, [layer])
        name = target_format or format_for(target).name
        new = _child(layer, target, name, parent, within, compared=compared) if parent else _base(layer)
        with create_layer(target, new, format_name=target_format, replace=replace) as writer:
            with left_alone([layer]):
                found = write_delta(read_delta(layer, progress or Progress()), writer)
            _check(layer, found)
            writer.finish()
        return found


def _base(layer: Layer) -> NewLayer:
    seal = intact_seal(layer)
    identity = identity_of(seal.chain_id) if seal else ""
    return NewLayer(layer.info.size, sector_size=layer.info.sector_size, content_id=identity, disk_id=identity)


def _child(
    layer: Layer, target: Path, format_name: str, parent: Path, within: Sequence[Path], *, compared: bool
) -> NewLayer:
    seal = intact_seal(layer)
    with open_chain(parent, within=within) as chain:
        refuse_overwriting(target, chain.layers)
        below = chain.leaf
        refuse_smaller(target, layer.info.size, format_name, below.info)
        parent_seal = intact_seal(below)
        if seal and parent_seal and not compared and seal.parent_chain_id != parent_seal.chain_id:
            raise _no_counterpart(parent, parent_seal.chain_id, layer.info.path, seal.parent_chain_id)
        return NewLayer(
            layer.info.size,
            Allocation.DIFFERENCING,
            sector_size=below.info.sector_size,
            parent=reference_to(below.info, target),
            content_id=_identity(seal, parent_seal),
            disk_id=chain.base.info.identity.disk,
        )


def _identity(seal: Seal | None, parent: Seal | None) -> str:
    """That of the chain that the new layer makes with its parent, which shows what that of the source does."""
    if seal is None:
        return ""
    return identity_of(chain_id(parent.chain_id if parent else seal.parent_chain_id, seal.diff_id))


def _no_counterpart(parent: Path, found: str, source: Path, wanted: str) -> Conflict:
    return Conflict(f'"{parent}" shows {found}, the parent of "{source}" {wanted}: it is not its counterpart')


def prove_counterpart(
    source: Path,
    parent: Path,
    *,
    within: Sequence[Path] = (),
    source_within: Sequence[Path] = (),
    source_format: str = "",
    progress: Progress | None = None,
) -> None:
    """Prove that a disk shows what the parent of another does. Raises Conflict when it doesn't.

    Seals prove it without a look at data; else the two are compared. When the source's own parent can't be had, its seal tells
    what that showed. `within` is where the parents of `parent` may lie, `source_within` where those of the source may.
    """
    steps = progress or Progress()
    with open_layer(source, format_name=source_format) as layer:
        if layer.info.parent is None:
            raise Conflict(f'the disk "{source}" has no parent, so it is no layer', hint="leave --parent out")
        seal = intact_seal(layer)
    with open_chain(parent, within=within) as onto:
        sealed = intact_seal(onto.leaf)
        if seal and sealed and seal.parent_chain_id == sealed.chain_id:
            return
        chain, broken = follow_chain(source, within=source_within, format_name=source_format)
        with chain:
            if broken is None:
                _compare(chain, onto, steps)
            elif seal is None:
                raise broken
            elif (found := chain_ids(onto.layers, steps)[0][1]) != seal.parent_chain_id:
                raise _no_counterpart(parent, found, source, seal.parent_chain_id)


def _compare(chain: Chain, onto: Chain, progress: Progress) -> None:
    wanted = chain.view.below()
    found = first_difference(wanted, View(onto.layers, wanted.size), progress)
    if found is not None:
        raise Conflict(
            f'"{onto.leaf.info.path}" and the parent of "{chain.leaf.info.path}" differ at {found}: it is not its counterpart'
        )


def _check(layer: Layer, found: str) -> None:
    seal = intact_seal(layer)
    if seal and seal.diff_id != found:
        raise Conflict(f'the disk "{layer.info.path}" adds {found}, but was sealed with {seal.diff_id}')
