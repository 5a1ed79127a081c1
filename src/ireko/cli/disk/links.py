"""A chain as far as it can be followed, with what is found at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.base import Layer, LayerInfo
from ireko.disk.chain import follow_chain
from ireko.disk.errors import DiskDamaged
from ireko.disk.seals import Seal, intact_seal
from ireko.disk.use import written_to
from ireko.errors import IrekoError


@dataclass(frozen=True)
class Link:
    """One layer's file: what it says of itself, its length and the room it takes, both in bytes, and its seal.

    `seal_error` tells why a seal that it has doesn't count, `in_use` that a machine which runs writes to it.
    """

    info: LayerInfo
    length: int
    used: int
    seal: Seal | None = None
    seal_error: str = ""
    in_use: bool = False


@dataclass(frozen=True)
class Walk:
    """The links that hold, newest first, and why there are no more; None when the last one is a base."""

    links: tuple[Link, ...]
    broken: IrekoError | None = None


def walk(file: Path, folders: Sequence[Path], *, source: str = "") -> Walk:
    """Follow a chain as far as it holds. Raises the errors of `open_layer` for the file itself."""
    chain, broken = follow_chain(file, within=folders, format_name=source)
    with chain:
        return Walk(tuple(link(layer) for layer in chain.layers), broken)


def link(layer: Layer) -> Link:
    """What there is to say of an open layer."""
    info = layer.info
    seal, problem = None, ""
    try:
        seal = intact_seal(layer)
    except DiskDamaged as error:
        problem = f"{error.structure} is {error.found}, it must be {error.wanted}"
    return Link(info, layer.file.length(), room(info.path), seal, problem, written_to(layer.file))


def room(path: Path) -> int:
    """The bytes that a file takes on its file system; its length where the system doesn't tell."""
    status = path.stat()
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512
