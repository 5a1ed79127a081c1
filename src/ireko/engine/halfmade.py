"""What is made outside our root: under another name beside its place, noted first, so that a crash leaves nothing half-made.

The name is noted in the database before the folder is there; what is whole is renamed out of it, or is the folder itself. A
daemon that starts undoes what is noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

from ireko.disk.errors import told
from ireko.engine.context import Context, to_its_end
from ireko.errors import InvalidInput, NotFound
from ireko.model.names import new_id
from ireko.store.database import Operation

KIND = "half-made"
_LONGEST_STEM = 48
"""Characters, of up to four bytes each: a name has 255."""
_log = logging.getLogger(__name__)


def check_place(context: Context, place: Path) -> None:
    """Raises NotFound when there is no folder for a place to be in, InvalidInput when it is in our own root, or is no place."""
    if not place.is_absolute():
        raise InvalidInput(f'the path "{place}" must be absolute')
    if "\0" in str(place):
        raise InvalidInput(f"the path {str(place)!r} has a NUL character")
    root = context.paths.root
    with told(place):
        found = place.parent.is_dir()
    if not found:
        raise NotFound(f'there is no folder "{place.parent}"', hint=f"mkdir -p {shlex.quote(str(place.parent))}")
    if place.parent.resolve().is_relative_to(root.resolve()):
        raise InvalidInput(f'"{place}" is inside "{root}", where ireko deletes what it does not know')


@contextlib.asynccontextmanager
async def beside(context: Context, place: Path, *, container: str = "") -> AsyncIterator[Operation]:
    """A folder beside a place, empty, at the operation's `path`; in the end it is gone, unless it has got another name.

    `container` is whose removal ends the operation too, in one transaction, when it comes to that.
    """
    folder = place.with_name(f".{place.name[:_LONGEST_STEM]}.{secrets.token_hex(4)}.part")
    operation = Operation(new_id(), KIND, container, path=str(folder))
    with context.database.change() as change:
        change.put_operation(operation)
    try:
        with told(place):
            context.files.make_folder(folder)
        yield operation
    finally:
        await to_its_end(undo(context, operation))


async def undo(context: Context, operation: Operation) -> None:
    """Delete the folder, when it is still there under this name, and forget the operation.

    What can't be deleted stays noted: the next daemon tries again.
    """
    try:
        await asyncio.to_thread(context.files.remove_tree, Path(operation.path))
    except OSError as error:
        _log.warning("the half-made %s can't be removed: %s", operation.path, error)
    else:
        if operation.id in context.database.operations:
            context.finished(operation)
