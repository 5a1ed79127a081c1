"""Several layers become one: those above a common ancestor, or whatever one disk shows and another doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ireko.disk.base import Allocation, LayerWriter, NewLayer, Progress
from ireko.disk.chain import Chain, open_chain
from ireko.disk.differences import write_difference, write_merged
from ireko.disk.formats import SECTORED, create_layer, format_for
from ireko.disk.operations.rewriting import left_alone, refuse_overwriting, same_file
from ireko.disk.reference import reference_to
from ireko.disk.view import View
from ireko.errors import Conflict, InvalidInput


def merge(
    source: Path,
    target: Path,
    *,
    parent: Path,
    within: Sequence[Path] = (),
    placed: Path | None = None,
    target_format: str = "",
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write what all layers of a disk above one of its chain add to that one, as a single new layer on it.

    `parent` is that one; source and parents stay as they are, and no data is compared. `placed` is where the new layer will
    lie in the end, for the path to its parent; by default at `target`. Raises Conflict when `parent` is not below `source`,
    InvalidInput for what the format can't hold, what reading and writing raise, and for a target that exists what `flatten`
    raises.
    """
    with open_chain(source, within=within) as chain:
        refuse_overwriting(target, chain.layers)
        number = _number_of(parent, chain)
        rest = Chain(chain.layers[number:])
        new = _new_layer(chain.view, rest, placed or target, target_format or format_for(target).name)
        with create_layer(target, new, format_name=target_format, replace=replace) as writer:
            top = View(chain.layers[:number], chain.view.size)
            with left_alone(chain.layers):
                write_merged(top, View(rest.layers, rest.view.size), writer, progress or Progress())
            writer.finish()


def write_on_top(
    source: Path,
    target: Path,
    *,
    parent: Path,
    within: Sequence[Path] = (),
    placed: Path | None = None,
    target_format: str = "",
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write what a disk shows and another one doesn't, as a single new layer on that other; it then shows what the first does.

    Neither needs to know of the other: what both have in the same place of the same file, or as zeros, is not read. Raises as
    `merge` does, and InvalidInput when sizes or sectors don't fit.
    """
    with open_chain(source, within=within) as chain, open_chain(parent, within=within) as onto:
        refuse_overwriting(target, [*chain.layers, *onto.layers])
        new = _new_layer(chain.view, onto, placed or target, target_format or format_for(target).name)
        with create_layer(target, new, format_name=target_format, replace=replace) as writer:
            with left_alone((*chain.layers, *onto.layers)):
                _fill(chain, onto, writer, progress or Progress())
            writer.finish()


def _fill(chain: Chain, onto: Chain, writer: LayerWriter, progress: Progress) -> None:
    write_difference(chain.view, View(onto.layers, chain.view.size), writer, progress)


def _number_of(parent: Path, chain: Chain) -> int:
    """The place of a layer in a chain, counted from the newest."""
    for number, layer in enumerate(chain.layers):
        if number and same_file(layer.info.path, parent):
            return number
    raise Conflict(f'the disk "{chain.leaf.info.path}" does not stand on "{parent}"')


def _new_layer(shown: View, onto: Chain, place: Path, format_name: str) -> NewLayer:
    below, identifying = onto.leaf.info, format_name in SECTORED
    smallest = min(layer.info.sector_size for layer in (*shown.layers, *onto.layers))
    if identifying and (smallest < below.sector_size or shown.size < below.size):
        raise InvalidInput(
            f'the disk "{shown.layers[0].info.path}" has {shown.size} bytes in sectors of {smallest}: '
            f'a layer on "{below.path}" can\'t show it, that has {below.size} in sectors of {below.sector_size}'
        )
    return NewLayer(
        shown.size,
        Allocation.DIFFERENCING,
        sector_size=below.sector_size if identifying else smallest,
        parent=reference_to(below, place),
        disk_id=onto.base.info.identity.disk,
        kept=tuple(each for each in below.kept if each.of_disk),
    )
