"""A layer with all that is below it: found, and proven link by link without reading data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ireko.disk.base import Layer, Problem, Progress
from ireko.disk.closing import Closing
from ireko.disk.delta import chain_id, diff_id
from ireko.disk.errors import DiskDamaged
from ireko.disk.formats import open_layer
from ireko.disk.links import ChainBroken, Folders, open_parent
from ireko.disk.seals import intact_seal, read_seal
from ireko.disk.view import View
from ireko.errors import IrekoError

LONGEST = 256
"""Layers of a chain; what is longer is no chain that anybody made on purpose."""


class Chain(Closing):
    """Open layers, newest first; closes them."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.view = View(self.layers)

    @property
    def leaf(self) -> Layer:
        """The newest layer."""
        return self.layers[0]

    @property
    def parent(self) -> Layer | None:
        """The layer below it."""
        return self.layers[1] if len(self.layers) > 1 else None

    @property
    def base(self) -> Layer:
        """The layer that has no parent."""
        return self.layers[-1]

    def close(self) -> None:
        """May be repeated."""
        for layer in self.layers:
            layer.close()


def open_chain(path: Path, *, within: Sequence[Path] = (), format_name: str = "") -> Chain:
    """Open a disk with its parents. Those are looked for in the folders `within` and below; by default in the disk's own.

    Every link is checked: that the parent is there and allowed, is the one that the child was made on (by its identity, or by the
    seals of both when they have them), that sizes agree, and that no disk stands on itself. Raises ChainBroken, and the errors of
    `open_layer`.
    """
    chain, error = follow_chain(path, within=within, format_name=format_name)
    if error is not None:
        chain.close()
        raise error
    return chain


def follow_chain(path: Path, *, within: Sequence[Path] = (), format_name: str = "") -> tuple[Chain, IrekoError | None]:
    """As `open_chain`, but a chain that is broken is opened as far as it holds, and comes with what is wrong with its last link.

    Raises the errors of `open_layer` for the disk itself.
    """
    folders = Folders(within or (path.absolute().parent,))
    layers = [open_layer(path, format_name=format_name)]
    try:
        seen = {_file_id(layers[0])}
        while (parent := open_parent(layers[-1], folders)) is not None:
            if (wrong := _against(layers, parent, seen)) is not None:
                parent.close()
                return Chain(layers), wrong
            layers.append(parent)
            seen.add(_file_id(parent))
    except IrekoError as error:
        return Chain(layers), error
    except BaseException:
        Chain(layers).close()
        raise
    return Chain(layers), None


def _against(layers: list[Layer], parent: Layer, seen: set[tuple[int, int]]) -> ChainBroken | None:
    """What speaks against a parent that is the right one in itself: what no chain may do."""
    child = layers[-1]
    if _file_id(parent) in seen:
        structure, found = f'the parent "{parent.info.path}"', "a disk that stands on this one"
        return ChainBroken(child.info.path, structure, found=found, wanted="another")
    if len(layers) >= LONGEST:
        found = f"more than {LONGEST} layers"
        return ChainBroken(layers[0].info.path, "the chain", found=found, wanted=f"{LONGEST} or fewer")
    return None


def _file_id(layer: Layer) -> tuple[int, int]:
    status = os.fstat(layer.file.descriptor)
    return status.st_dev, status.st_ino


def check_chain(chain: Chain, progress: Progress, *, deep: bool = False) -> Iterator[tuple[Path, Problem]]:
    """Look at every structure of every layer; what is wrong, with the file that it is in.

    `deep` reads all data too, and compares it with the seals that there are.
    """
    for layer in chain.layers:
        for problem in layer.check(progress):
            yield layer.info.path, problem
    if deep:
        yield from _read_all(chain, progress)


def _read_all(chain: Chain, progress: Progress) -> Iterator[tuple[Path, Problem]]:
    below = ""
    for layer in reversed(chain.layers):
        path = layer.info.path
        try:
            seal = read_seal(path)
            below = chain_id(below, diff_id(layer, progress))
        except DiskDamaged as error:
            yield path, Problem(error.structure, str(error.found), str(error.wanted), error.offset)
            return
        if seal and seal.format == layer.info.format and seal.chain_id != below:
            yield path, Problem("the content", below, f"{seal.chain_id}, as when it was sealed")


def chain_ids(layers: Sequence[Layer], progress: Progress) -> list[tuple[str, str]]:
    """The diff id and chain id of each layer of a chain, newest first. Layers with an intact seal are not read.

    Raises DiskDamaged.
    """
    found: list[tuple[str, str]] = []
    below = ""
    for layer in reversed(layers):
        seal = intact_seal(layer)
        own = seal.diff_id if seal else diff_id(layer, progress)
        below = chain_id(below, own)
        found.insert(0, (own, below))
    return found
