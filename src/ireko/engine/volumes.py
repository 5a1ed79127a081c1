"""Named volumes: data disks that outlive containers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from ireko.engine import mounts
from ireko.engine.context import Context, now
from ireko.errors import Conflict, NotFound
from ireko.host import files
from ireko.model.container import Container
from ireko.model.image import GIB
from ireko.model.names import check_volume_name, new_id
from ireko.model.volume import Volume

CAPACITY = 16 * GIB  # sparse: what is not written takes no room
ANONYMOUS = "com.docker.volume.anonymous"


@dataclass(frozen=True)
class Pruned:
    """What was removed, and the bytes that came free."""

    names: tuple[str, ...]
    reclaimed: int


class Volumes:
    """The named volumes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, name: str | None = None, labels: dict[str, str] | None = None) -> Volume:
        """A fresh, empty volume; the existing one when there is one of that name. Raises InvalidInput, NoSpace."""
        name = check_volume_name(name) if name else new_id()
        async with mounts.held(self._context, [name]):
            if found := self._context.database.volumes.get(name):
                return found
            volume = Volume(name, now(), CAPACITY, labels or {})
            async with self.made([volume]):
                with self._context.database.change() as change:
                    change.put_volume(volume)
        self.announce_made([volume])
        return volume

    @contextlib.asynccontextmanager
    async def made(self, volumes: Iterable[Volume]) -> AsyncIterator[None]:
        """The disks of volumes that are recorded inside; gone again when what is done inside fails.

        The caller holds them. Raises NoSpace.
        """
        done: list[str] = []
        try:
            for volume in volumes:
                done.append(volume.name)
                await self._make_disk(volume.name)
            yield
        except BaseException:
            for name in done:
                self._context.files.remove_tree(self._context.paths.volume(name))
            raise

    def announce_made(self, volumes: Iterable[Volume]) -> None:
        """Publish that they are there."""
        for volume in volumes:
            self._context.events.publish("volume", "create", volume.name)

    def get(self, name: str) -> Volume:
        """Raises NotFound."""
        found = self._context.database.volumes.get(name)
        if found is None:
            raise NotFound(f"get {name}: no such volume", hint="ireko volume ls")
        return found

    def all(self) -> list[Volume]:
        """All of them, by name."""
        return sorted(self._context.database.volumes.values(), key=lambda volume: volume.name)

    def users(self, name: str) -> list[Container]:
        """The containers that mount it, whether they run or not."""
        return mounts.users(self._context, name)

    def size(self, name: str) -> int:
        """The bytes it takes on the host."""
        return files.disk_bytes(self._context.paths.volume_disk(name))

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises NotFound (not with force), Conflict naming the containers that use it."""
        if force and name not in self._context.database.volumes:
            return
        self.get(name)
        async with mounts.held(self._context, [name]):
            if users := self.users(name):
                names = ", ".join(sorted(user.name for user in users))
                raise Conflict(
                    f"remove {name}: volume is in use by the container {names}", hint=f"ireko rm {users[0].name}"
                )
            with self._context.database.change() as change:
                change.delete_volume(name)
            self.announce_gone([name])
            await self._context.discard(self._context.paths.volume(name))

    def announce_gone(self, names: Iterable[str]) -> None:
        """Publish that they are not there any more."""
        for name in names:
            self._context.events.publish("volume", "destroy", name)

    async def prune(self, *, unnamed_only: bool = False) -> Pruned:
        """Remove those that no container mounts."""
        names: list[str] = []
        reclaimed = 0
        for volume in self.all():
            if self.users(volume.name) or (unnamed_only and ANONYMOUS not in volume.labels):
                continue
            size = self.size(volume.name)
            with contextlib.suppress(Conflict):  # somebody has begun to use it
                await self.remove(volume.name, force=True)
                names.append(volume.name)
                reclaimed += size
        return Pruned(tuple(names), reclaimed)

    def unnamed_of(self, container: Container) -> list[str]:
        """The volumes of a container that were made without a name and that nobody else uses."""
        return [
            name
            for name in dict.fromkeys(mounts.volumes(container))
            if (volume := self._context.database.volumes.get(name)) is not None
            and ANONYMOUS in volume.labels
            and [user.id for user in self.users(name)] == [container.id]
        ]

    async def _make_disk(self, name: str) -> None:
        files, paths = self._context.files, self._context.paths
        half = paths.tmp / new_id()
        files.make_folder(half)
        try:
            await self._context.driver.format_volume(half / "disk.raw", CAPACITY)
            files.remove_tree(paths.volume(name))  # a leftover without a record
            files.move(half, paths.volume(name))
        except BaseException:
            files.remove_tree(half)
            raise
