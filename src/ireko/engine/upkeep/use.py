"""What is at work right now, and must be left alone."""

from __future__ import annotations

from collections.abc import Callable

from ireko.engine.context import Context
from ireko.model.names import short

UPKEEP = "upkeep"
"""The lock of those who exchange files of layers: one at a time."""
_AT_WORK = "it is being worked on"


def users(context: Context, *, mine: str = "") -> dict[str, str]:
    """The layers below machines that run or are being started, and those that are worked on: their ids, and who uses them.

    `mine` is one that the caller holds himself, once.
    """
    found: dict[str, str] = {}
    for held, count in context.held.items():
        if count > (held == mine):
            found.update(dict.fromkeys(_chain(context, held), _AT_WORK))
    for container in context.database.containers.values():
        if container.status.has_machine:
            found.update(dict.fromkeys(_chain(context, container.parent), f"{container.name} runs on it"))
        elif context.locks.taken(container.id):
            found.update(dict.fromkeys(_chain(context, container.parent), _AT_WORK))
    return found


def _chain(context: Context, layer_id: str) -> list[str]:
    """The ids of a layer and all below it, as far as there are records."""
    found, layer = list[str](), context.database.layers.get(layer_id)
    while layer is not None:
        found.append(layer.id)
        layer = context.database.layers.get(layer.parent or "")
    return found


def nouns(context: Context) -> Callable[[str], str]:
    """Says layers, by their full ids, as people know them: the short id, and an image that has it now."""
    database, owners = context.database, dict[str, str]()
    for reference, image_id in sorted(database.tags.items(), key=lambda tag: str(tag[0])):
        image = database.images.get(image_id)
        for layer_id in image.layers if image is not None else ():
            owners.setdefault(layer_id, f" of {reference}")
    return lambda layer_id: f"layer {short(layer_id)}{owners.get(layer_id, '')}"
