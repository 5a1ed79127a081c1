"""Promote: a container becomes a machine that runs without ireko, in a folder of its own. The folder may be anywhere.

The steps, and how a crash after each is met (`halfmade.undo`):

1. the name that the folder has while it is half-made is noted in the database;
2. what runs the machine is written there, then its disk, which is read back and compared with the container's; all is synced;
3. the folder gets its name;
4. the hypervisor is told of the machine, when that was asked for;
5. one transaction ends the operation, and the container with it when it was to move.

Until step 3 everything is undone by deleting the half-made folder. From then on the machine is whole and stays, whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ireko.disk import partitions
from ireko.disk.base import Progress as Steps
from ireko.disk.formats import format_named
from ireko.disk.operations.flatten import flatten
from ireko.drivers.base import StandaloneSpec
from ireko.engine import chains, diskwork, halfmade, layers, lookup, machines, standalone
from ireko.engine.containers import Containers
from ireko.engine.context import Context, to_its_end
from ireko.engine.removal import Remover
from ireko.errors import AlreadyThere, Conflict, Damaged, InvalidInput, IrekoError, Unavailable
from ireko.host import files
from ireko.model.container import Container, Status
from ireko.model.names import check_machine_name
from ireko.model.recipe import Progress
from ireko.store.database import Operation

_AT_REST = {Status.CREATED, Status.EXITED, Status.DEAD}


@dataclass(frozen=True)
class Wish:
    """What a container is to become.

    `place` is the machine's folder, on this host. `format` "" is the driver's own. `register` is the name by which the
    hypervisor is to know the machine, "" for not at all. With `move` the container is gone afterwards.
    """

    place: Path
    format: str = ""
    register: str = ""
    move: bool = False


@dataclass(frozen=True)
class Promoted:
    """A machine: its folder, the names of its disk and of all files there, and what the container had that it hasn't."""

    container: str
    place: Path
    disk: str
    files: tuple[str, ...]
    warnings: tuple[str, ...]


class Promoter:
    """Makes machines of containers."""

    def __init__(self, context: Context, containers: Containers, remover: Remover) -> None:
        self._context = context
        self._containers = containers
        self._remover = remover

    async def promote(self, ref: str, wish: Wish, *, progress: Progress) -> Promoted:
        """A machine of a container that does not run; nobody can start or change it meanwhile.

        Raises NotFound, InvalidInput, AlreadyThere, Conflict, Unsupported, Damaged, NoSpace, Denied, and with `register` what
        Driver.register raises.
        """
        async with self._containers.held(ref) as container:
            disk_format = wish.format or self._context.driver.abilities.disk_format
            await self._check(container, wish, disk_format)
            async with layers.holding(self._context, container.parent):
                machine, contents = await self._plan(container, wish, disk_format)
                if wish.register:
                    await self._context.driver.check_register(machine)
                async with halfmade.beside(self._context, wish.place, container=container.id) as operation:
                    work = _Work(self._context, container, Path(operation.path), machine, progress)
                    names = await work.fill(identity=self._identity(container, wish))
                    # somebody may have written to a disk that it is linked to
                    machines.check_chain(self._context, container.parent)
                    await to_its_end(self._complete(operation, container, wish, machine))
        lost = standalone.losses(container, machine, contents)
        return Promoted(container.name, wish.place, machine.disk, names, lost)

    async def _check(self, container: Container, wish: Wish, disk_format: str) -> None:
        if container.status not in _AT_REST:
            raise Conflict(
                f'the container "{container.name}" is {container.status.value}: only one that does not run can be promoted',
                hint=f"ireko stop {container.name}",
            )
        format_named(disk_format)
        _check_place(self._context, wish.place)
        machines.check_chain(self._context, container.parent)
        if wish.register:
            check_machine_name(wish.register)

    async def _plan(
        self, container: Container, wish: Wish, disk_format: str
    ) -> tuple[StandaloneSpec, partitions.Contents]:
        """The machine, and what is on its disk."""
        context = self._context
        image = lookup.image_of(context.database, container)
        layer = lookup.layer(context.database, container.parent)
        machines.check_firmware(container.name, image, layer)
        contents = await asyncio.to_thread(_look, context, container, layer.sector_size)
        name, identity = wish.register or container.name, self._identity(container, wish)
        choice = standalone.Choice(name, disk_format, layer.sector_size, wish.place, identity)
        machine = standalone.spec(container, image, contents, choice)
        if machine.kernel:
            machines.check_boot(context, image)
        return machine, contents

    def _identity(self, container: Container, wish: Wish) -> str:
        """What the guest's addresses follow from: the container's own only when that goes."""
        return container.id if wish.move else f"{wish.place} {container.id}"

    async def _complete(self, operation: Operation, container: Container, wish: Wish, machine: StandaloneSpec) -> None:
        context = self._context
        _publish(context, Path(operation.path), wish.place)
        with _whole_all_the_same(wish.place):
            if wish.register:
                await context.driver.register(machine, wish.place)
            context.announce(container, "promote", path=str(wish.place))
            if wish.move:
                await self._remover.finish(operation)
            else:
                context.finished(operation)


class _Work:
    """One machine in the making, in its half-made folder."""

    def __init__(
        self, context: Context, container: Container, folder: Path, machine: StandaloneSpec, progress: Progress
    ) -> None:
        self._context = context
        self._container = container
        self._folder = folder
        self._machine = machine
        self._progress = progress

    async def fill(self, *, identity: str) -> tuple[str, ...]:
        """Write everything and have it on the disk: what can be refused at once first, what takes long last; the files' names."""
        await to_its_end(asyncio.to_thread(self._write_boot, identity))
        await self._context.driver.write_standalone(self._machine, self._folder)
        await diskwork.do("writing the disk", self._write_disk, progress=self._progress)
        await diskwork.do("reading it back", self._compare, progress=self._progress)
        await to_its_end(asyncio.to_thread(self._context.files.sync_tree, self._folder))
        return tuple(sorted(entry.name for entry in self._folder.iterdir()))

    def _write_boot(self, identity: str) -> None:
        """Copy the kernel and the initrd, and write the seed, for a disk that no firmware can boot."""
        machine, changes = self._machine, self._context.files
        boot = lookup.image_of(self._context.database, self._container).config.boot
        if not machine.kernel or boot is None:
            return
        source = self._context.paths.boot / boot.id
        for name, target in (("kernel", machine.kernel), ("initrd", machine.initrd)):
            changes.copy(source / name, self._folder / target)
        changes.write(self._folder / machine.seed, standalone.seed(self._container, machine, identity=identity))

    def _write_disk(self, steps: Steps) -> None:
        flatten(
            self._context.paths.container_disk(self._container.id),
            self._folder / self._machine.disk,
            within=chains.folders(self._context, self._container.parent),
            source_format=self._context.driver.abilities.disk_format,
            target_format=self._machine.format,
            sector_size=self._machine.sector_size,
            progress=steps,
        )

    def _compare(self, steps: Steps) -> None:
        """Raises Damaged when the disk that was written shows anything else than the container's."""
        target, name = self._folder / self._machine.disk, self._container.name
        with chains.of_container(self._context, self._container) as chain:
            offset = chains.first_difference(chain, target, self._machine.format, steps)
        if offset is not None:
            raise Damaged(
                f'the disk that was written for "{name}" differs from the container\'s at byte {offset}, so it was deleted',
                hint="see what the host's log says of the disk below, and promote to another one",
            )


def _look(context: Context, container: Container, sector_size: int) -> partitions.Contents:
    with chains.of_container(context, container) as chain:
        return partitions.look(chain.view, sector_size=sector_size)


def _check_place(context: Context, place: Path) -> None:
    if ".." in place.parts or not place.name:
        raise InvalidInput(f'the path "{place}" names no new folder')
    halfmade.check_place(context, place)
    if os.path.lexists(place) and not _is_empty_folder(place):
        raise _taken(place)
    if os.path.ismount(place):
        raise InvalidInput(f'a disk is mounted at "{place}"', hint=f"name a folder in it: {place / 'machine'}")


def _is_empty_folder(place: Path) -> bool:
    with files.told(place):
        return place.is_dir() and not place.is_symlink() and not any(place.iterdir())


def _taken(place: Path) -> AlreadyThere:
    return AlreadyThere(f'there is something at "{place}" already', hint="name a folder that is not there, or is empty")


def _publish(context: Context, half: Path, place: Path) -> None:
    """Give the folder its name. An empty one of that name gives way."""
    try:
        if sys.platform == "win32" and place.is_dir():
            place.rmdir()
        context.files.move(half, place)
    except OSError as error:
        if os.path.lexists(place):  # something has come meanwhile
            raise _taken(place) from error
        raise Unavailable(f'"{place}" can\'t be made: {error.strerror or error}') from error


@contextlib.contextmanager
def _whole_all_the_same(place: Path) -> Iterator[None]:
    """Say with an error that it came too late to take the machine back."""
    try:
        yield
    except IrekoError as error:
        error.message = f'the machine is whole in "{place}", but not all is done: {error.message}'
        raise
