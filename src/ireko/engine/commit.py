"""Commit: a container's writable layer becomes an image's top layer. Nothing is copied.

The steps, and how a crash after each is met (`settle`):

1. the operation is noted in the database;
2. an empty disk is made beside the container's, with the future layer's place as its parent;
3. a machine that runs is switched to it;
4. the container's disk is renamed to the layer's place;
5. the empty disk is renamed to the container's;
6. the layer is sealed, and recorded together with the image in one transaction that ends the operation.

Until step 3 everything can be undone by deleting the empty disk. From then on it is finished: the container gets its layer,
although the image that was asked for is not made, as nobody was told that it had been.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from dataclasses import replace
from pathlib import Path

from ireko.drivers.base import Machine, MachineState
from ireko.engine import changes, layers, lookup, machines
from ireko.engine.context import Context, now
from ireko.engine.runs import Runs
from ireko.errors import Conflict, Damaged, IrekoError
from ireko.host import files
from ireko.model.container import Container
from ireko.model.image import History, Image, ImageConfig, Layer, with_id
from ireko.model.names import Reference, new_id
from ireko.store.database import Operation

KIND = "commit"
SYNC_LIMIT = 60.0
"""Seconds that a guest has to write out what it holds; a busy host has many that do."""


class Committer:
    """Makes images of containers, and settles what a crash cut off."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs

    async def commit(
        self,
        ref: str,
        *,
        reference: Reference | None = None,
        author: str = "",
        comment: str = "",
        instructions: tuple[str, ...] = (),
        sync: bool = True,
    ) -> Image:
        """A new image of the container's disk as it is now; the container goes on, on a fresh layer above.

        `sync` has a running guest write out what it holds first. Raises NotFound, InvalidInput, NoSpace, Damaged.
        """
        context = self._context
        container = lookup.container(context.database, ref)
        async with context.locks(container.id):
            container = lookup.container(context.database, container.id)
            for unsettled in self.unsettled(container.id):
                await self.settle(unsettled)
                container = lookup.container(context.database, container.id)
            config = changes.apply(lookup.image_of(context.database, container).config, container, instructions)
            machines.check_chain(context, container.parent)
            machine = self._runs.running(container.id)
            if machine and sync:
                await _sync(machine)
            operation = Operation(new_id(), KIND, container.id, new_id())
            with context.database.change() as change:
                change.put_operation(operation)
            try:
                layer = await self._move(operation, container, machine)
                image = self._image(container, layer, config, author=author, comment=comment)
                with context.database.change() as change:
                    change.put_layer(layer)
                    change.put_image(image)
                    if reference:
                        change.tag(reference, image.id)
                    change.put_container(replace(context.database.containers[container.id], parent=layer.id))
                    change.delete_operation(operation.id)
            except BaseException:
                await self.settle(operation)
                raise
        context.announce(container, "commit", comment=comment)
        return image

    def unsettled(self, container_id: str) -> list[Operation]:
        """The commits of a container that were cut off and could not be finished or undone yet (a full disk)."""
        operations = self._context.database.operations.values()
        return [each for each in operations if each.kind == KIND and each.container == container_id]

    async def settle(self, operation: Operation) -> None:
        """Finish or undo a commit that was cut off, then forget it."""
        context = self._context
        container = context.database.containers.get(operation.container)
        layer = None
        if container is not None:
            steps = _Steps(context, operation)
            if await steps.begun(self._runs.running(container.id)):
                steps.rename()
                layer = self._seal(operation, container, steps)
            else:
                steps.undo()
        with context.database.change() as change:
            if layer:
                change.put_layer(layer)
                change.put_container(replace(context.database.containers[operation.container], parent=layer.id))
            change.delete_operation(operation.id)

    async def _move(self, operation: Operation, container: Container, machine: Machine | None) -> Layer:
        steps = _Steps(self._context, operation)
        steps.prepare(lookup.layer(self._context.database, container.parent).capacity)
        if machine:
            await machine.switch_disk("root", steps.fresh, steps.layer)
        elif container.started is None:
            files.sync_file(steps.disk)
        steps.rename()
        return self._seal(operation, container, steps)

    def _seal(self, operation: Operation, container: Container, steps: _Steps) -> Layer:
        below = lookup.layer(self._context.database, container.parent)
        return layers.seal(self._context, operation.layer, steps.layer, parent=below.id, sector_size=below.sector_size)

    def _image(self, container: Container, layer: Layer, config: ImageConfig, *, author: str, comment: str) -> Image:
        base = lookup.image_of(self._context.database, container)
        below = [each.id for each in machines.chain(self._context, container.parent)][::-1]
        step = History(now(), shlex.join(container.process.argv), comment, layer.size)
        return with_id(
            Image(
                id="",
                layers=(*below, layer.id),
                config=config,
                created=now(),
                parent=base.id,
                author=author,
                comment=comment,
                history=(*base.history, step),
            )
        )


class _Steps:
    """The files of one commit."""

    def __init__(self, context: Context, operation: Operation) -> None:
        self._context = context
        self.disk = context.paths.container_disk(operation.container)
        self.fresh = self.disk.with_name(f"next-{operation.layer[:12]}{self.disk.suffix}")
        self.layer = context.paths.layer_disk(operation.layer)

    def prepare(self, capacity: int) -> None:
        """Make the empty disk, and the layer's folder."""
        self._context.files.make_folder(self.layer.parent)
        self._context.driver.disks.create(self.fresh, parent=self.layer, capacity=capacity)
        with files.told(self.fresh):
            files.sync_file(self.fresh)

    async def begun(self, machine: Machine | None) -> bool:
        """Whether there is no way back: the empty disk is in use, or the container's has been moved."""
        if self.layer.exists():
            return True
        if not self.fresh.exists():
            return False
        if machine is not None:
            with contextlib.suppress(Conflict):  # it has ended this moment
                return _same(await machine.active_disk("root"), self.fresh)
        return not self._context.driver.disks.untouched(self.fresh)

    def rename(self) -> None:
        """Put both disks where they belong; what is done already is left."""
        if not self.layer.exists():
            self._context.files.move(self.disk, self.layer)
        if self.fresh.exists():
            self._context.files.move(self.fresh, self.disk)
        if not self.disk.exists():
            raise Damaged(f'the disk "{self.disk}" is missing', hint="ireko doctor")
        files.sync_folder(self.layer.parent.parent)

    def undo(self) -> None:
        """As if nothing had been."""
        self._context.files.remove(self.fresh)
        self._context.files.remove_tree(self.layer.parent)


def _same(one: Path, other: Path) -> bool:
    return one.name == other.name


async def _sync(machine: Machine) -> None:
    """Best effort: a guest that does not answer is committed as after a power cut, which its file system bears."""
    with contextlib.suppress(IrekoError, TimeoutError):
        if await machine.state() is MachineState.RUNNING:
            async with asyncio.timeout(SYNC_LIMIT):
                await machine.guest.sync()
