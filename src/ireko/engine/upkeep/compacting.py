"""Layers, and the disks of containers that do not run, give back what zeros and unused blocks take."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ireko.disk.operations.remake import measure
from ireko.engine import diskwork, layers, machines
from ireko.engine.containers import Containers
from ireko.engine.context import Context
from ireko.engine.runs import Runs
from ireko.engine.upkeep import exchange, use
from ireko.engine.upkeep.remaking import remade
from ireko.errors import Conflict, IrekoError, NotFound
from ireko.host import files
from ireko.model.image import MIB, Layer
from ireko.model.recipe import Progress

_LEAST, _ENOUGH, _SHARE = 64 << 10, 16 * MIB, 32
"""A file is written anew for at least so many bytes, and for a 32nd of it or for 16 MiB."""


@dataclass(frozen=True)
class Shrunk:
    """A disk that takes less now: bytes on the host's disk before and after."""

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class Left:
    """A disk that was left as it is, and why; `failed` when it should not have been."""

    name: str
    why: str
    failed: bool = False


@dataclass
class Compacted:
    """What was done. `looked_at` counts the disks that were read."""

    looked_at: int = 0
    shrunk: list[Shrunk] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def reclaimed(self) -> int:
        """The bytes that came free."""
        return sum(each.before - each.after for each in self.shrunk)


class Compactor:
    """Makes disks small."""

    def __init__(self, context: Context, containers: Containers, runs: Runs) -> None:
        self._context = context
        self._containers = containers
        self._runs = runs

    async def compact(self, *, progress: Progress) -> Compacted:
        """All layers, and the disks of all containers, but those that are in use and those that layers are linked to.

        One after another: each is done or untouched when this ends early. What goes wrong with one is told of, and the others
        are done.
        """
        done, database, noun = Compacted(), self._context.database, use.nouns(self._context)
        async with self._context.locks(use.UPKEEP):
            for layer in sorted(database.layers.values(), key=lambda each: each.created):
                with _told(noun(layer.id), done):
                    await self._layer(layer.id, noun(layer.id), done, progress)
            for container in sorted(database.containers.values(), key=lambda each: each.created):
                name = f"container {container.name}"
                with _told(name, done):
                    await self._container(container.id, name, done, progress)
        return done

    async def _layer(self, layer_id: str, name: str, done: Compacted, progress: Progress) -> None:
        context = self._context
        layer = context.database.layers.get(layer_id)
        if layer is None or layer.linked:
            return
        self._refuse_use(layer)
        async with layers.holding(context, layer.id):
            machines.check_sealed(context, layer)
            disk = context.paths.layer_disk(layer.id)
            async with self._smaller(disk, name, done, progress) as new:
                if new is None:
                    return
                self._refuse_use(layer, mine=layer.id)
                machines.check_sealed(context, layer)
                before = files.disk_bytes(disk)
                after = exchange.exchange(context, layer, new)
                done.shrunk.append(Shrunk(name, before, after.size))

    async def _container(self, container_id: str, name: str, done: Compacted, progress: Progress) -> None:
        context = self._context
        self._refuse_machine(container_id)
        async with self._containers.held(container_id):
            self._refuse_machine(container_id)
            disk = context.paths.container_disk(container_id)
            if context.driver.disks.untouched(disk):
                return
            async with self._smaller(disk, name, done, progress) as new:
                if new is not None:
                    before = files.disk_bytes(disk)
                    context.files.move(new, disk)
                    done.shrunk.append(Shrunk(name, before, files.disk_bytes(disk)))

    def _refuse_use(self, layer: Layer, *, mine: str = "") -> None:
        """Raises Conflict."""
        if why := use.users(self._context, mine=mine).get(layer.id):
            raise Conflict(why)

    def _refuse_machine(self, container_id: str) -> None:
        """Raises NotFound, Conflict."""
        if self._containers.get(container_id).status.has_machine or self._runs.running(container_id):
            raise Conflict("it runs")

    @contextlib.asynccontextmanager
    async def _smaller(self, disk: Path, name: str, done: Compacted, progress: Progress) -> AsyncIterator[Path | None]:
        """A file that holds the same as a disk and takes less, None when there is none; what is not moved away is deleted."""
        context, form, room = self._context, self._context.driver.abilities.disk_format, files.disk_bytes(disk)
        data = await diskwork.do(
            f"reading {name}", lambda steps: measure(disk, format_name=form, progress=steps), progress=progress
        )
        done.looked_at += 1
        if room - data < max(_LEAST, min(room // _SHARE, _ENOUGH)):
            yield None
            return
        async with remade(context, disk, f"writing {name}", smaller=True, progress=progress) as new:
            yield new if files.disk_bytes(new) < room else None


@contextlib.contextmanager
def _told(name: str, done: Compacted) -> Iterator[None]:
    """What goes wrong within it is told of, and is no reason to stop; what has gone meanwhile needs nothing."""
    try:
        yield
    except NotFound:
        return
    except Conflict as error:
        done.left.append(Left(name, error.message))
    except (IrekoError, OSError) as error:
        done.left.append(Left(name, str(error), failed=True))
