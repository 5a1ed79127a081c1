"""A layer's file is exchanged for another one that holds the same.

Its identity follows from the file, so file and record change together: the operation is noted with the new file's identity, the
file is renamed, the record is changed and the operation forgotten in one transaction. After a crash the file has one of the two
identities, and that says whether it was renamed (`settle`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from ireko.engine import lookup
from ireko.engine.context import Context
from ireko.engine.layers import SEALED
from ireko.errors import Damaged, NoSpace, Unavailable
from ireko.host import files
from ireko.model.image import Layer
from ireko.model.names import new_id
from ireko.store.database import Operation

KIND = "exchange"
_log = logging.getLogger(__name__)


def exchange(context: Context, layer: Layer, new: Path) -> Layer:
    """Put a file, which is on the disk already, in the place of a layer's; the layer as it is recorded now.

    Nothing is awaited, so that nobody meets the one without the other. Raises NoSpace, Denied, Unavailable; then it is as before.
    """
    context.files.set_mode(new, SEALED)
    present = lookup.layer(context.database, layer.id)  # others may have noted something else of it meanwhile
    after = replace(present, identity=context.driver.disks.identify(new), size=files.disk_bytes(new))
    operation = Operation(new_id(), KIND, "", layer=layer.id, identity=after.identity)
    with context.database.change() as change:
        change.put_operation(operation)
    try:
        context.files.move(new, context.paths.layer_disk(layer.id))
    except BaseException:
        settle(context, operation)
        raise
    _record(context, after, operation)
    return after


def settle(context: Context, operation: Operation) -> None:
    """Finish an exchange that was cut off, or forget that it was meant."""
    layer = context.database.layers.get(operation.layer)
    place = context.paths.layer_disk(operation.layer)
    if layer is not None and _identity(context, place) == operation.identity:
        _record(context, replace(layer, identity=operation.identity, size=files.disk_bytes(place)), operation)
    else:
        context.finished(operation)


def _record(context: Context, layer: Layer, operation: Operation) -> None:
    """What has happened is recorded; on a full disk it is at least remembered, and the next daemon finds it noted."""
    try:
        with context.database.change() as change:
            change.put_layer(layer)
            change.delete_operation(operation.id)
    except (NoSpace, Unavailable) as error:
        _log.error("%s", error)
        context.database.remember_layer(layer)
        context.database.forget(operation)


def _identity(context: Context, path: Path) -> str:
    try:
        return context.driver.disks.identify(path)
    except Damaged:
        return ""
