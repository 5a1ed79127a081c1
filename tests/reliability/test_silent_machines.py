"""Machines that answer nobody while a daemon starts: it serves all the same, and deletes nothing that they use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ireko.drivers.fake import FakeBook, FakeDriver
from ireko.engine.engine import Engine
from ireko.errors import TimedOut
from ireko.model.container import Status
from ireko.model.names import new_id
from ireko.store.database import Operation

from .world import World


def silent(step: str) -> None:
    if step == "find":
        raise TimedOut("it does not answer")


@asynccontextmanager
async def hearing_nothing(world: World) -> AsyncIterator[Engine]:
    """A daemon that no machine answers."""
    driver = FakeDriver(world.host, fail=silent)
    engine = await Engine.open(root=world.root, driver=driver, recipes=FakeBook())
    try:
        yield engine
    finally:
        await engine.close()


async def test_one_that_is_being_removed_is_removed_later(world: World) -> None:
    box = await world.make("box")
    context = world.engine._context
    with context.database.change() as change:
        change.put_operation(Operation(new_id(), "remove", box))
    context.update(box, status=Status.REMOVING)
    await world.engine.close()
    async with hearing_nothing(world) as engine:
        assert [each.name for each in engine.containers.all()] == ["box"]
        assert engine._context.paths.container_disk(box).exists()
    assert await world.open()
    assert world.engine.containers.all() == []
    await world.check()


async def test_one_without_a_record_keeps_its_folder(world: World) -> None:
    box = await world.make("box")
    context = world.engine._context
    with context.database.change() as change:
        change.delete_container(box)
    folder = context.paths.container(box)
    await world.engine.close()
    async with hearing_nothing(world):
        assert (folder / "disk.qcow2").exists()
    assert await world.open()
    assert not folder.exists()
    await world.check()


async def test_one_that_looks_at_files_keeps_its_folder(world: World) -> None:
    box = await world.make("box", start=False, kept="old")
    world.fate.begin()
    await world.engine.containers.stat("box", "/kept")
    begun = world.fate.steps.index("start.done") + 1
    assert not await world.run(world.engine.containers.stat("box", "/kept"), at=begun)
    folder = world.engine._context.paths.container(box) / "maintenance"
    assert folder in world.host.machines
    async with hearing_nothing(world):
        assert folder.exists()
    assert await world.open()
    assert not folder.exists()
    await world.check()
