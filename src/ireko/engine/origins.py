"""Telling disk files again that were imported before, so that what two images share is stored once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ireko.disk.base import Layer as OpenLayer
from ireko.disk.errors import told
from ireko.disk.seals import intact_seal
from ireko.engine import machines
from ireko.engine.context import Context
from ireko.errors import Damaged
from ireko.model.image import Layer

_RENEWED = {"vhdx"}
"""Formats whose content has an identity that is another as soon as somebody writes to the disk."""


def of(source: OpenLayer) -> str:
    """What tells a layer's file again, without reading its data: its content's identity, its seal, or that of the file itself.

    It is what a file, and who sealed it, says: nothing is proven of the content by it, so it is no chain id.
    """
    info = source.info
    if info.format in _RENEWED and info.identity.content:
        return f"{info.format} {info.identity.content} {info.size}"
    seal = intact_seal(source)
    return f"seal {seal.chain_id}" if seal else _of_file(source)


def _of_file(source: OpenLayer) -> str:
    """The format is part of it: what a file shows is another thing when it is called a raw disk."""
    with told(source.info.path):
        status = os.fstat(source.file.descriptor)
    return f"{source.info.format} file {status.st_dev}:{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def known(context: Context, sources: Sequence[OpenLayer], sector_size: int) -> list[Layer]:
    """The layers with such sectors that are here for the lowest of these, lowest first; the rest is to be imported.

    One that is missing or not what it was is not here: so an image that was damaged can be made anew.
    """
    found: list[Layer] = []
    for source in sources:
        layer = _same(context, source, sector_size, found[-1].id if found else None)
        if layer is None:
            break
        found.append(layer)
    return found


def _same(context: Context, source: OpenLayer, sector_size: int, parent: str | None) -> Layer | None:
    seal = intact_seal(source)
    known_as = {of(source), _of_file(source)}  # it may have been brought before it was sealed
    for layer in context.database.layers.values():
        same = layer.origin in known_as or (seal is not None and layer.chain_id == seal.chain_id)
        fits = layer.parent == parent and layer.sector_size == sector_size
        if same and fits and not layer.linked and _intact(context, layer):
            return layer
    return None


def _intact(context: Context, layer: Layer) -> bool:
    try:
        machines.check_sealed(context, layer)
    except Damaged:
        return False
    return True
