"""Virtual disks, usable alone: no process, no event loop, no hypervisor.

What is named here is what others may rely on; docs/how-to/use-the-disk-library.md shows it at work. Each name is loaded when it
is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ireko.disk.base import (
        Allocation,
        Extent,
        ExtentKind,
        Identity,
        Kept,
        Layer,
        LayerInfo,
        LayerWriter,
        NewLayer,
        ParentReference,
        PathKind,
        Problem,
        Progress,
        RecordedPath,
    )
    from ireko.disk.chain import Chain, chain_ids, check_chain, follow_chain, open_chain
    from ireko.disk.delta import Piece, chain_id, diff_id, read_delta, write_delta
    from ireko.disk.errors import Cancelled, DiskDamaged, DiskError, DiskUnsupported
    from ireko.disk.formats import create_layer, open_layer
    from ireko.disk.links import ChainBroken
    from ireko.disk.operations.commit import commit
    from ireko.disk.operations.compact import compact
    from ireko.disk.operations.compare import first_difference
    from ireko.disk.operations.convert import convert_layer, prove_counterpart
    from ireko.disk.operations.flatten import flatten
    from ireko.disk.operations.merge import merge, write_on_top
    from ireko.disk.operations.rebase import rebase
    from ireko.disk.operations.repair import repair
    from ireko.disk.operations.resize import resize
    from ireko.disk.operations.seal import seal
    from ireko.disk.reference import reference_to
    from ireko.disk.seals import Seal, read_seal
    from ireko.disk.view import ChainExtent, DiskStream, View

__all__ = [
    "Allocation",
    "Cancelled",
    "Chain",
    "ChainBroken",
    "ChainExtent",
    "DiskDamaged",
    "DiskError",
    "DiskStream",
    "DiskUnsupported",
    "Extent",
    "ExtentKind",
    "Identity",
    "Kept",
    "Layer",
    "LayerInfo",
    "LayerWriter",
    "NewLayer",
    "ParentReference",
    "PathKind",
    "Piece",
    "Problem",
    "Progress",
    "RecordedPath",
    "Seal",
    "View",
    "chain_id",
    "chain_ids",
    "check_chain",
    "commit",
    "compact",
    "convert_layer",
    "create_layer",
    "diff_id",
    "first_difference",
    "flatten",
    "follow_chain",
    "merge",
    "open_chain",
    "open_layer",
    "prove_counterpart",
    "read_delta",
    "read_seal",
    "rebase",
    "reference_to",
    "repair",
    "resize",
    "seal",
    "write_delta",
    "write_on_top",
]

_MODULES = {
    "base": "Allocation Extent ExtentKind Identity Kept Layer LayerInfo LayerWriter NewLayer "
    "ParentReference PathKind Problem Progress RecordedPath",
    "chain": "Chain chain_ids check_chain follow_chain open_chain",
    "delta": "Piece chain_id diff_id read_delta write_delta",
    "errors": "Cancelled DiskDamaged DiskError DiskUnsupported",
    "formats": "create_layer open_layer",
    "links": "ChainBroken",
    "operations.commit": "commit",
    "operations.compact": "compact",
    "operations.compare": "first_difference",
    "operations.convert": "convert_layer prove_counterpart",
    "operations.flatten": "flatten",
    "operations.merge": "merge write_on_top",
    "operations.rebase": "rebase",
    "operations.repair": "repair",
    "operations.resize": "resize",
    "operations.seal": "seal",
    "reference": "reference_to",
    "seals": "Seal read_seal",
    "view": "ChainExtent DiskStream View",
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """A public name, from the module that has it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
