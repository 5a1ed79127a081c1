"""The engine: its parts put together, on one root and one driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ireko.drivers.base import Driver
from ireko.engine.adoption import Adopter
from ireko.engine.archives.loading import Loader
from ireko.engine.containers import Containers
from ireko.engine.context import Context
from ireko.engine.events import Events
from ireko.engine.execs import Execs
from ireko.engine.exporting import Exporter
from ireko.engine.images import Images
from ireko.engine.importing import Importer
from ireko.engine.make import Maker, RecipeBook
from ireko.engine.promotion import Promoter
from ireko.engine.reconcile import reconcile
from ireko.engine.removal import Remover
from ireko.engine.reshaping import Reshaper
from ireko.engine.runs import Runs
from ireko.engine.system import System
from ireko.engine.upkeep.checking import Checker
from ireko.engine.upkeep.compacting import Compactor
from ireko.engine.volumes import Volumes
from ireko.errors import Unsupported
from ireko.host.files import Files, Lock
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
        self._remover = Remover(context, self._runs, self.volumes)
        self.containers = Containers(context, self._runs, self.volumes, self._remover)
        self.execs = Execs(context, self._runs)
        self.images = Images(context, Maker(context, recipes))
        self.importer = Importer(context)
        self.loader = Loader(context)
        self.exporter = Exporter(context)
        self.adopter = Adopter(context, self.importer)
        self.reshaper = Reshaper(context)
        self.promoter = Promoter(context, self.containers, self._remover)
        self.compactor = Compactor(context, self.containers, self._runs)
        self.checker = Checker(context, self._runs)
        self.system = System(context, self.containers, self.images, self.volumes)

    @classmethod
    async def open(
        cls, *, root: Path, driver: Driver, recipes: RecipeBook, step: Callable[[str], None] = lambda name: None
    ) -> Engine:
        """Take the root, get the driver ready, and settle what an earlier daemon left.

        `step` is called before each change to a file, and before and after each change to the database. What it raises stops
        there, so that a test can end a daemon at any moment.
        Raises Conflict when another daemon owns the root, Unsupported when another driver does, Damaged, Unavailable.
        """
        paths = Paths(root, driver.abilities.disk_format)
        paths.make()
        lock = Lock(paths.lock)
        lock.take()
        try:
            context = Context(paths, _database(paths, driver, step), driver, Events(), Files(step))
        except BaseException:
            lock.release()
            raise
        engine = cls(context, recipes, lock)
        try:
            await driver.open()
            await reconcile(context, engine._runs, engine.containers, engine._remover)
        except BaseException:
            await engine.close()
            raise
        return engine

    async def close(self) -> None:
        """Let go of everything; the machines go on running."""
        try:
            await self._context.tasks.close()
            await self._runs.close()
            await self._context.driver.close()
        finally:
            self._context.database.close()
            self._lock.release()


def _database(paths: Paths, driver: Driver, step: Callable[[str], None]) -> Database:
    database = Database(paths.database, step=step)
    strange = {layer.format for layer in database.layers.values()} - {driver.abilities.disk_format}
    if strange:
        database.close()
        raise Unsupported(
            f'the disks in "{paths.root}" are in the format "{min(strange)}": '
            f'the driver "{driver.abilities.name}" works with "{driver.abilities.disk_format}"',
            hint="choose another root with --root, or the driver that made them",
        )
    return database
