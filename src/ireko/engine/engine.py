"""The engine: its parts put together, on one root and one driver."""

from __future__ import annotations

from pathlib import Path

from ireko.drivers.base import Driver
from ireko.engine.containers import Containers
from ireko.engine.context import Context
from ireko.engine.events import Events
from ireko.engine.execs import Execs
from ireko.engine.images import Images
from ireko.engine.make import Maker, RecipeBook
from ireko.engine.reconcile import reconcile
from ireko.engine.runs import Runs
from ireko.engine.system import System
from ireko.engine.volumes import Volumes
from ireko.host.files import Lock
from ireko.store.database import Database
from ireko.store.paths import Paths


class Engine:
    """Everything that can be done. Made by `open`; one at a time for a root."""

    def __init__(self, context: Context, recipes: RecipeBook, lock: Lock) -> None:
        self._context = context
        self._lock = lock
        self._runs = Runs(context)
        self.events = context.events
        self.volumes = Volumes(context)
        self.containers = Containers(context, self._runs, self.volumes)
        self.execs = Execs(context, self._runs)
        self.images = Images(context, Maker(context, recipes))
        self.system = System(context, self.containers, self.images, self.volumes)

    @classmethod
    async def open(cls, *, root: Path, driver: Driver, recipes: RecipeBook) -> Engine:
        """Take the root, get the driver ready, and settle what an earlier daemon left.

        Raises Conflict when another daemon owns the root, Damaged, Unavailable.
        """
        paths = Paths(root, driver.abilities.disk_format)
        paths.make()
        lock = Lock(paths.lock)
        lock.take()
        try:
            context = Context(paths, Database(paths.database), driver, Events())
            try:
                engine = cls(context, recipes, lock)
                await driver.open()
                await reconcile(context, engine._runs, engine.containers)
            except BaseException:
                await context.tasks.close()
                context.database.close()
                raise
        except BaseException:
            lock.release()
            raise
        return engine

    async def close(self) -> None:
        """Let go of everything; the machines go on running."""
        await self._context.tasks.close()
        await self._runs.close()
        await self._context.driver.close()
        self._context.database.close()
        self._lock.release()
