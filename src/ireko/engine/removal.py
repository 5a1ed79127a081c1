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
        if self._runs.running(container.id):
            with self._context.database.change() as change:
                change.put_operation(operation)
                change.put_container(replace(container, status=Status.REMOVING))
            try:
                await self._runs.cut(container)
            except BaseException:
                self._take_back(operation, container)
                raise
        await self.finish(operation)

    async def finish(self, operation: Operation) -> None:
        """Throw away a container that has no machine any more. Nothing is left of it when it is gone already."""
        context = self._context
        container = context.database.containers.get(operation.container)
        names = mounts.volumes(container) if container and operation.volumes else []
        async with mounts.held(context, names):
            unnamed = self._volumes.unnamed_of(container) if container and operation.volumes else []
            with context.database.change() as change:
                change.delete_container(operation.container)
                change.delete_operation(operation.id)
                for name in unnamed:
                    change.delete_volume(name)
            await self._volumes.discard(unnamed)
        if container is not None:
            await self.clear_away(container)
            context.announce(container, "destroy")

    async def clear_away(self, container: Container) -> None:
        """What is left of a container that has no record any more: its machine, its files, the layers it alone stood on."""
        await self._runs.cut(container)
        self._runs.gone(container)
        await self._context.discard(self._context.paths.container(container.id))
        await layers.collect(self._context)

    def _take_back(self, operation: Operation, container: Container) -> None:
        """It stays: as it was, or ended, whichever it is by now."""
        present = self._context.database.containers[container.id]
        if present.status is Status.REMOVING:
            present = replace(present, status=container.status)
        with self._context.database.change() as change:
            change.delete_operation(operation.id)
            change.put_container(present)
