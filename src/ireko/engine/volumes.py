"""Named volumes: data disks that outlive containers."""

from __future__ import annotations

from collections.abc import Iterable
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
        async with self._context.locks(f"volume {name}"):
            if found := self._context.database.volumes.get(name):
                return found
            await self._make_disk(name)
            volume = Volume(name, now(), CAPACITY, labels or {})
            with self._context.database.change() as change:
                change.put_volume(volume)
        self._context.events.publish("volume", "create", name)
        return volume

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
        async with self._context.locks(f"volume {name}"):
            if users := self.users(name):
                names = ", ".join(sorted(user.name for user in users))
                raise Conflict(
                    f"remove {name}: volume is in use by the container {names}", hint=f"ireko rm {users[0].name}"
                )
            with self._context.database.change() as change:
                change.delete_volume(name)
            files.remove_tree(self._context.paths.volume_disk(name).parent)
        self._context.events.publish("volume", "destroy", name)

    async def prune(self, *, unnamed_only: bool = False) -> Pruned:
        """Remove those that no container mounts."""
        names: list[str] = []
        reclaimed = 0
        for volume in self.all():
            if self.users(volume.name) or (unnamed_only and ANONYMOUS not in volume.labels):
                continue
            reclaimed += self.size(volume.name)
            await self.remove(volume.name, force=True)
            names.append(volume.name)
        return Pruned(tuple(names), reclaimed)

    async def remove_unnamed(self, names: Iterable[str]) -> None:
        """Remove those among them that were made without a name and that nobody else uses."""
        for name in names:
            volume = self._context.database.volumes.get(name)
            if volume is not None and ANONYMOUS in volume.labels and not self.users(name):
                await self.remove(name, force=True)

    async def _make_disk(self, name: str) -> None:
        half = self._context.paths.tmp / new_id()
        half.mkdir(mode=0o700)
        try:
            await self._context.driver.format_volume(half / "disk.raw", CAPACITY)
            files.remove_tree(self._context.paths.volumes / name)  # a leftover without a record
            half.rename(self._context.paths.volumes / name)
        except BaseException:
            files.remove_tree(half)
            raise
        files.sync_folder(self._context.paths.volumes)
