"""What the parts of the engine share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ireko.drivers.base import Driver
from ireko.engine.events import Events
from ireko.errors import NoSpace, Unavailable
from ireko.host.files import Files
from ireko.model.container import Container
from ireko.model.names import new_id
from ireko.store.database import Database, Operation
from ireko.store.paths import Paths

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def now() -> datetime:
    """The present, with its zone."""
    return datetime.now(UTC)


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Await what must not be left half-done, or can't be stopped: a cancellation comes through when it has ended."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_tell)  # who waited for it hears of nothing but the cancellation
        await asyncio.wait([task])
        raise


def _tell(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s failed", task.get_coro(), exc_info=error)


class Locks:
    """One lock for each key, kept only while somebody wants it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def __call__(self, key: str) -> AsyncIterator[None]:
        """Hold the key's lock."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = lock, users - 1

    def taken(self, key: str) -> bool:
        """Whether somebody holds the key's lock, or waits for it."""
        return key in self._locks


class Tasks:
    """Work that goes on by itself; a failure is logged, and `close` ends what is left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run it in the background."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)


@dataclass(frozen=True)
class Context:
    """Handed to every part. `locks` is keyed by container id; who changes a container holds its lock.

    `held` and `held_boots` count who is at work on layers and kernels that must not go meanwhile: see `layers.holding`.
    """

    paths: Paths
    database: Database
    driver: Driver
    events: Events
    files: Files = field(default_factory=Files)
    locks: Locks = field(default_factory=Locks)
    tasks: Tasks = field(default_factory=Tasks)
    held: Counter[str] = field(default_factory=Counter)
    held_boots: Counter[str] = field(default_factory=Counter)

    def update(self, container_id: str, **changes: Any) -> Container:
        """Write a container's record anew with these fields changed, and return it."""
        container = replace(self.database.containers[container_id], **changes)
        with self.database.change() as change:
            change.put_container(container)
        return container

    def finished(self, operation: Operation) -> None:
        """An operation needs nothing more; on a full disk the next daemon does it again."""
        try:
            with self.database.change() as change:
                change.delete_operation(operation.id)
        except (NoSpace, Unavailable) as error:
            _log.error("%s", error)
            self.database.forget(operation)

    async def discard(self, *folders: Path) -> None:
        """Remove folders: they are gone from their places at once, from the disk when this returns."""
        aside = [self.paths.tmp / new_id() for _ in folders]
        moved = [target for folder, target in zip(folders, aside, strict=True) if self.files.set_aside(folder, target)]
        if moved:
            await to_its_end(asyncio.to_thread(self._remove, moved))

    @contextlib.asynccontextmanager
    async def work_folder(self) -> AsyncIterator[Path]:
        """A fresh folder in `tmp/` for what is half-made; it goes with all that is left in it."""
        folder = self.paths.tmp / new_id()
        self.files.make_folder(folder)
        try:
            yield folder
        finally:
            await self.discard(folder)

    def _remove(self, folders: list[Path]) -> None:
        for folder in folders:
            try:
                self.files.remove_tree(folder)
            except OSError as error:  # the next daemon tries again
                _log.warning("%s can't be removed: %s", folder, error)

    def note(self, container_id: str, **changes: Any) -> Container:
        """As `update`, for what has happened already: when the disk takes no more, it is at least remembered.

        The next daemon finds out anew.
        """
        try:
            return self.update(container_id, **changes)
        except (NoSpace, Unavailable) as error:
            _log.error("%s", error)
            container = replace(self.database.containers[container_id], **changes)
            self.database.remember(container)
            return container

    def announce(self, container: Container, action: str, **attributes: str) -> None:
        """Publish an event about a container."""
        image = self.database.images.get(container.image)
        names = [str(reference) for reference, image_id in self.database.tags.items() if image and image_id == image.id]
        self.events.publish(
            "container",
            action,
            container.id,
            {
                **container.spec.labels,
                "name": container.name,
                "image": container.spec.image if names else container.image,
                **attributes,
            },
        )
