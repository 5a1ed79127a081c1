"""A root, a fake host that goes on whatever happens to daemons, and daemons that can be ended at any step they take."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ireko.disk.formats import open_layer
from ireko.drivers.base import Command
from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost
from ireko.drivers.fake.tree import Tree
from ireko.engine import machines
from ireko.engine.engine import Engine
from ireko.errors import Conflict, GuestFailed
from ireko.model.container import ContainerSpec, Status

BY_A_SIGNAL = 128  # whichever: of a request to end and a cut at once, either may come first
LASTING = ("sleep", "1000000")
SEEN_OF_A_CONTAINER = {
    "disk.qcow2", "host_key", "client_key", "seed.tar", "stdout.log", "stderr.log", "log.index", "end.json"
}  # fmt: skip


class Crash(BaseException):
    """The daemon is gone. What it still tries meets this again, so that no handler of it can tidy up."""


class Fate:
    """Counts the steps of a daemon, and ends it before one of them (the first is 1; None: never)."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.at: int | None = None
        self.dead = asyncio.Event()
        self.when_dead: Callable[[], None] = lambda: None
        self._over = False
        self._interruption: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def begin(self, at: int | None = None) -> None:
        """Count from here."""
        self.steps, self.at, self._interruption = [], at, None

    def __call__(self, name: str) -> None:
        if self._over:
            raise Crash
        self.steps.append(name)
        if len(self.steps) != self.at:
            return
        if self._interruption is not None:
            self._interruption()
        else:
            self._over = True
            if threading.get_ident() == self._thread:
                self._end()
            else:
                self._loop.call_soon_threadsafe(self._end)
            raise Crash

    def interrupt(self, at: int, what: Callable[[], None]) -> None:
        """Do something else before that step, once; the daemon goes on."""
        self.steps, self.at, self._interruption = [], at, what

    def end_now(self) -> None:
        """Wherever it is."""
        self._over = True
        self._end()

    def _end(self) -> None:
        self.when_dead()
        self.dead.set()


@dataclass(frozen=True)
class Seen:
    """What a user sees of everything: `containers` by name, with status, exit code and the content of /kept."""

    containers: dict[str, tuple[str, int | None, str]]
    tags: frozenset[str]
    volumes: frozenset[str]
    unnamed_volumes: int


class World:
    """One root and one host, with one daemon at a time."""

    engine: Engine
    """The last one that served."""
    fate: Fate

    def __init__(self, root: Path) -> None:
        self.root = root
        self.closed = False
        self.host = FakeHost()
        self.left = root.with_name(f"{root.name}-machine")
        """Where a container goes that becomes a machine of its own."""
        self.exports = root.with_name(f"{root.name}-exports")
        """Where images go."""

    async def open(self, at: int | None = None) -> bool:
        """Start a daemon; False when it was ended before it served."""
        self.fate = fate = Fate()
        fate.begin(at)
        driver = FakeDriver(self.host, fail=fate)
        fate.when_dead = driver.die

        opened: list[Engine] = []

        async def open_engine() -> None:
            opened.append(await Engine.open(root=self.root, driver=driver, recipes=FakeBook(), step=fate))

        served = await self._come_to_an_end(open_engine())
        if opened:
            self.engine = opened[0]
        if opened and not served:  # ended by what it did right after
            await self.abandon()
        return served

    async def run(self, work: Coroutine[Any, Any, object], at: int | None = None) -> bool:
        """Do something; False when the daemon was ended while it did, or while what follows by itself was done."""
        self.fate.begin(at)

        async def all_of_it() -> None:
            await work
            await self.quiet()

        if await self._come_to_an_end(all_of_it()):
            return True
        await self.abandon()
        return False

    async def abandon(self) -> None:
        """As after kill -9: the operating system closes its files, and nothing more."""
        if not self.fate.dead.is_set():
            self.fate.end_now()
        context = self.engine._context
        await _end(list(context.tasks._tasks))
        context.database.close()
        self.engine._lock.release()

    async def quiet(self) -> None:
        """Wait for what goes on by itself: restarts, removals."""
        while tasks := [each for each in self.engine._context.tasks._tasks if "machine of" not in each.get_name()]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        self.closed = True
        await self.engine.close()
        await self.host.cut_power()

    async def _come_to_an_end(self, work: Coroutine[Any, Any, None]) -> bool:
        task, death = asyncio.create_task(work), asyncio.create_task(self.fate.dead.wait())
        await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
        died = self.fate.dead.is_set()
        if died:
            await _end([task])
        death.cancel()
        await asyncio.wait([death])
        if not died:
            task.result()
        return not died

    # What a user does

    async def make(
        self, name: str, *command: str, image: str = "nano", start: bool = True, kept: str = "", **spec: Any
    ) -> str:
        """A container that runs a command, with a text in /kept."""
        created = await self.engine.containers.create(
            ContainerSpec(image=image, command=command or LASTING, **spec), name=name
        )
        if start or kept:
            await self.engine.containers.start(name)
        if kept:
            await self.ask(name, "sh", "-c", f"echo {kept} > /kept")
        if kept and not start:
            await self.engine.containers.stop(name, timeout=0)
        return created.container.id

    async def ask(self, ref: str, *argv: str) -> str:
        """What a program in a running container says."""
        exec_ = self.engine.execs.create(ref, Command(argv))
        attachment = await self.engine.execs.start(exec_.id)
        assert attachment is not None
        said = b"".join([data async for _, data in attachment.output()])
        assert exec_.exit_code == 0, said
        return said.decode()

    def seen(self) -> Seen:
        database = self.engine._context.database
        return Seen(
            {
                each.name: (each.status.value, self._code(each), self._kept(each.id))
                for each in database.containers.values()
            },
            frozenset(map(str, database.tags)),
            frozenset(name for name, volume in database.volumes.items() if not volume.labels),
            sum(bool(volume.labels) for volume in database.volumes.values()),
        )

    def _code(self, container: Any) -> int | None:
        return min(container.exit_code, BY_A_SIGNAL) if container.status is Status.EXITED else None

    def _kept(self, container_id: str) -> str:
        tree = Tree(self.engine._context.paths.container_disk(container_id), read_only=True)
        with contextlib.suppress(FileNotFoundError):
            return tree.get("/kept").data.decode().strip()
        return ""

    # What must always hold

    async def check(self) -> None:
        """Everything hangs together, nothing is left over, and what runs answers."""
        context = self.engine._context
        database, paths = context.database, context.paths
        self._check_machine_that_left()
        self._check_images_that_left()
        assert not database.operations
        assert not database.broken
        assert list(paths.tmp.iterdir()) == []
        assert names(paths.containers) == set(database.containers)
        assert names(paths.layers) == set(database.layers)
        assert names(paths.volumes) == set(database.volumes)
        assert names(paths.boot) == {each.config.boot.id for each in database.images.values() if each.config.boot}
        assert set(database.tags.values()) <= set(database.images)
        self._check_chains()
        for container in database.containers.values():
            assert names(paths.container(container.id)) <= SEEN_OF_A_CONTAINER
            assert container.status in {Status.CREATED, Status.RUNNING, Status.PAUSED, Status.EXITED}
            assert container.image in database.images
            if container.status is Status.RUNNING:
                await self._check_answer(container.id)
        checked = await self.engine.checker.check(deep=False, repair=False, progress=lambda *_: None)
        assert checked.found == ()
        running = {paths.container(each.id) for each in database.containers.values() if each.status.has_machine}
        assert set(self.host.machines) == running

    async def _check_answer(self, container_id: str) -> None:
        """What runs answers, unless it was asked to end before and does so now."""
        run = self.engine._runs._runs[container_id]
        try:
            assert await self.ask(container_id, "echo", "yes") == "yes\n"
        except (Conflict, GuestFailed):
            await run.done.wait()
            await self.quiet()

    def _check_machine_that_left(self) -> None:
        """It is whole, or there is nothing."""
        assert not list(self.root.parent.glob(".*.part"))
        if self.left.exists():
            assert names(self.left) == {"disk.qcow2", "initrd", "kernel", "machine.json", "seed.tar"}

    def _check_images_that_left(self) -> None:
        """Each file is whole: the last that is written is the mark of an end."""
        for path in self.exports.iterdir() if self.exports.exists() else ():
            if path.suffix == ".tar":
                with tarfile.open(path) as archive:
                    assert archive.getnames()[-1] == "sha256sums"
            else:
                open_layer(path).close()

    def _check_chains(self) -> None:
        context = self.engine._context
        used = set()
        for image in context.database.images.values():
            machines.check_chain(context, image.top)
            assert [each.id for each in machines.chain(context, image.top)][::-1] == list(image.layers)
            used.update(image.layers)
        for layer in used:
            assert names(context.paths.layer(layer)) <= {"disk.qcow2", "files.json"}
        for container in context.database.containers.values():
            machines.check_chain(context, container.parent)
            Tree(context.paths.container_disk(container.id), read_only=True)
            used.update(each.id for each in machines.chain(context, container.parent))
        assert set(context.database.layers) == used


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """End tasks that may wait for what never comes, in handlers too; and what they began, which a group asks only once."""
    while any(not task.done() for task in tasks):
        for task in {*tasks, *filter(_is_begun_by_a_verb, asyncio.all_tasks())}:
            task.cancel()
        await asyncio.sleep(0)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def _is_begun_by_a_verb(task: asyncio.Task[Any]) -> bool:
    """The toy host's machines run in the same loop, and outlive the daemon."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and (code.co_qualname == "User.work" or "engine" in Path(code.co_filename).parts)


Verb = Callable[[World], Awaitable[object]]
