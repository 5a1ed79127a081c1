"""The files inside a container: looked at, copied, compared. A container that does not run gets a machine for the moment."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path, PurePosixPath

import msgspec

from ireko.drivers.base import FileEntry, Guest, Machine, MachineState
from ireko.engine import layers, lookup, machines
from ireko.engine.context import Context, now, to_its_end
from ireko.engine.runs import Runs
from ireko.errors import Conflict, IrekoError
from ireko.guest.identity import Identity
from ireko.model.container import Container, ContainerSpec, Process, RestartPolicy, Status
from ireko.model.image import Image
from ireko.model.names import new_id

MAINTENANCE = "maintenance"
_END_LIMIT = 60.0  # seconds for a guest to write out what was changed and end
_LISTING = "files.json"


class ChangeKind(Enum):
    """docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True)
class Change:
    """A file that differs from the image's."""

    path: str
    kind: ChangeKind


class GuestFiles:
    """Files of containers."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs

    async def stat(self, ref: str, path: str) -> FileEntry:
        """What is at a path of a container; relative ones count from `/`. Raises NotFound."""
        async with self._guest(lookup.container(self._context.database, ref)) as guest:
            return await guest.stat(_absolute(path))

    async def archive(self, ref: str, path: str) -> tuple[FileEntry, AsyncIterator[bytes]]:
        """A file or folder as a tar stream, and what it is. Raises NotFound. The stream must be read or closed."""
        stack = contextlib.AsyncExitStack()
        try:
            guest = await stack.enter_async_context(self._guest(lookup.container(self._context.database, ref)))
            entry = await guest.stat(_absolute(path))
            pieces = await guest.archive(_absolute(path, keep_dot=True))
        except BaseException:
            await stack.aclose()
            raise
        stream = _until_read(pieces, stack)
        await anext(stream)  # from now on closing it, or losing it, lets go of the guest
        return entry, stream

    async def unpack(self, ref: str, path: str, pieces: AsyncIterator[bytes]) -> None:
        """Unpack a tar stream into a folder of a container. Raises NotFound."""
        async with self._guest(lookup.container(self._context.database, ref)) as guest:
            await guest.unpack(_absolute(path), pieces)

    async def diff(self, ref: str) -> list[Change]:
        """The files that differ from the image's, by path; a folder counts when something in it came or went."""
        container = lookup.container(self._context.database, ref)
        before = await self._image_listing(lookup.image_of(self._context.database, container))
        async with self._guest(container) as guest:
            after = await guest.listing()
        return compare(before, after)

    @contextlib.asynccontextmanager
    async def _guest(self, container: Container) -> AsyncIterator[Guest]:
        if machine := self._runs.running(container.id):
            yield await _reachable(container, machine)
            return
        async with self._context.locks(container.id):
            present = lookup.container(self._context.database, container.id)
            if machine := self._runs.running(present.id):  # started while its lock was waited for
                yield await _reachable(present, machine)
                return
            async with self._maintenance(present, self._context.paths.container_disk(present.id)) as guest:
                yield guest

    async def _image_listing(self, image: Image) -> list[FileEntry]:
        """Looked up once for each image, with a machine of its own; kept with the image's top layer."""
        kept = self._context.paths.layer_disk(image.top).with_name(_LISTING)
        async with self._context.locks(f"listing {image.top}"):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                return msgspec.json.decode(kept.read_bytes(), type=list[FileEntry])
            async with self._passing_container(image) as (container, disk), self._maintenance(container, disk) as guest:
                found = await guest.listing()
            self._keep(msgspec.json.encode(found), kept)
            return found

    def _keep(self, data: bytes, place: Path) -> None:
        half = self._context.paths.tmp / new_id()
        try:
            self._context.files.write(half, data)
            self._context.files.move(half, place)
        except BaseException:
            self._context.files.remove(half)
            raise

    @contextlib.asynccontextmanager
    async def _passing_container(self, image: Image) -> AsyncIterator[tuple[Container, Path]]:
        """A container that nobody sees, for as long as it takes to look at an image."""
        context = self._context
        identifier = new_id()
        folder = context.paths.tmp / identifier
        disk = folder / f"disk.{context.paths.suffix}"
        context.files.make_folder(folder)
        try:
            context.driver.disks.create(
                disk,
                parent=context.paths.layer_disk(image.top),
                capacity=lookup.layer(context.database, image.top).capacity,
            )
            yield _bare(identifier, image), disk
        finally:
            context.files.remove_tree(folder)

    @contextlib.asynccontextmanager
    async def _maintenance(self, container: Container, disk: Path) -> AsyncIterator[Guest]:
        folder, changes = disk.parent / MAINTENANCE, self._context.files
        changes.remove_tree(folder)
        changes.sync_tree(disk.parent)
        changes.make_folder(folder)
        try:
            image = lookup.image_of(self._context.database, container)
            machines.check_chain(self._context, container.parent)
            Identity.create().save(folder)
            spec = machines.maintenance(self._context, container, image, folder, disk)
            async with layers.holding(self._context, container.parent):
                machine = await self._context.driver.start(spec)
                try:
                    yield machine.guest
                finally:
                    await to_its_end(_end(machine))
        finally:
            changes.remove_tree(folder)


async def _reachable(container: Container, machine: Machine) -> Guest:
    if await machine.state() is MachineState.PAUSED:
        raise Conflict(
            f"Container {container.name} is paused: its files can't be reached",
            hint=f"ireko unpause {container.name}",
        )
    return machine.guest


async def _end(machine: Machine) -> None:
    with contextlib.suppress(IrekoError, TimeoutError):
        async with asyncio.timeout(_END_LIMIT):
            await machine.request_power_off()
            await machine.ended()
    await machine.power_off()
    await machine.close()


async def _until_read(pieces: AsyncIterator[bytes], stack: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        yield b""
        async for piece in pieces:
            yield piece


def _absolute(path: str, *, keep_dot: bool = False) -> str:
    """The path from the root; with `keep_dot` a `/.` at its end stays, as it means what is in a folder."""
    whole = str(PurePosixPath("/") / path)
    return f"{whole.rstrip('/')}/." if keep_dot and f"/{path}".endswith("/.") else whole


def _bare(identifier: str, image: Image) -> Container:
    return Container(
        id=identifier,
        name=identifier,
        image=image.id,
        parent=image.top,
        spec=ContainerSpec(image=image.id, restart=RestartPolicy()),
        process=Process((), (), "", ""),
        cpus=1,
        memory=image.config.memory,
        stop_timeout=0,
        created=now(),
        status=Status.CREATED,
    )


def compare(before: list[FileEntry], after: list[FileEntry]) -> list[Change]:
    """What came, went or changed between two listings."""
    old = {entry.path: entry for entry in before}
    new = {entry.path: entry for entry in after}
    changes = [Change(path, ChangeKind.ADDED) for path in new.keys() - old.keys()]
    changes += [Change(path, ChangeKind.DELETED) for path in old.keys() - new.keys()]
    # a folder's own times and size say what happened in it; its parent's do not change with that
    changes += [Change(path, ChangeKind.MODIFIED) for path in new.keys() & old.keys() if _differs(old[path], new[path])]
    return sorted((change for change in changes if change.path != "/"), key=lambda change: change.path)


def _differs(one: FileEntry, other: FileEntry) -> bool:
    if stat.S_ISDIR(one.mode) and stat.S_ISDIR(other.mode):
        return replace(one, size=0) != replace(other, size=0)
    return one != other
