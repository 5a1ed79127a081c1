"""Containers thrown away: their machine, their record and their files.

A container without a machine goes in one transaction; its folder has no record then, and would be swept. One that runs
loses its machine first, so the operation is noted before: a daemon that starts finds it, and finishes.
"""

from __future__ import annotations

from dataclasses import replace

from ireko.engine import layers, mounts
from ireko.engine.context import Context
from ireko.engine.runs import Runs
from ireko.engine.volumes import Volumes
from ireko.model.container import Container, Status
from ireko.model.image import Layer
from ireko.model.names import new_id
from ireko.store.database import Operation

KIND = "remove"


class Remover:
    """Throws containers away. The caller holds their locks."""

    def __init__(self, context: Context, runs: Runs, volumes: Volumes) -> None:
        self._context = context
        self._runs = runs
        self._volumes = volumes

    async def remove(self, container: Container, *, volumes: bool) -> None:
        """Cut its power, if it has any, and throw it away; with `volumes` those that were given no name, too.

        When its machine can't be ended it stays.
        """
        operation = Operation(new_id(), KIND, container.id, volumes=volumes)
        if not self._runs.running(container.id):
            await self.finish(operation)
            return
        with self._context.database.change() as change:
            change.put_operation(operation)
            change.put_container(replace(container, status=Status.REMOVING))
        try:
            await self._runs.cut(container)
            await self.finish(operation)
        except BaseException:
            self._take_back(operation, container)
            raise

    async def finish(self, operation: Operation) -> None:
        """Throw away a container that has no machine any more; nothing happens when it is gone already."""
        context = self._context
        container = context.database.containers.get(operation.container)
        if container is None:
            with context.database.change() as change:
                change.delete_operation(operation.id)
            return
        async with mounts.held(context, mounts.volumes(container) if operation.volumes else []):
            unnamed = self._volumes.unnamed_of(container) if operation.volumes else []
            gone = layers.unused(context, without=container.id)
            with context.database.change() as change:
                change.delete_container(container.id)
                change.delete_operation(operation.id)
                for name in unnamed:
                    change.delete_volume(name)
                layers.forget(change, gone)
            self._runs.gone(container)
            context.announce(container, "destroy")
            self._volumes.announce_gone(unnamed)
            await context.discard(
                context.paths.container(container.id),
                *(context.paths.volume(name) for name in unnamed),
                *layers.folders(context, gone),
            )

    async def clear_away(self, container: Container, gone: list[Layer]) -> None:
        """What is left of a container that has no record any more: its machine, its files, the layers it alone stood on."""
        await self._runs.cut(container)
        self._runs.gone(container)
        context = self._context
        await context.discard(context.paths.container(container.id), *layers.folders(context, gone))

    def _take_back(self, operation: Operation, container: Container) -> None:
        """It stays, if it is there: as it was, or ended, whichever it is by now."""
        present = self._context.database.containers.get(container.id)
        if present is None:
            return
        if present.status is Status.REMOVING:
            present = replace(present, status=container.status)
        with self._context.database.change() as change:
            change.delete_operation(operation.id)
            change.put_container(present)
