"""Disks give back what they don't need: at any moment, beside anything else, and everything shows what it showed."""

from __future__ import annotations

import asyncio
import os

import pytest

from ireko.disk.chain import open_chain
from ireko.engine import machines
from ireko.errors import NoSpace
from ireko.host.files import disk_bytes
from ireko.model.image import MIB

from .conftest import MakeWorld
from .scenarios import WASTE, bloated
from .world import World


async def compact(world: World) -> None:
    await world.engine.compactor.compact(progress=lambda *_: None)


def shown(world: World) -> dict[str, bytes]:
    """The beginning of what each disk shows, where the guest's files are; the rest is zeros."""
    paths = world.engine._context.paths
    found = {}
    for disk in (*paths.layers.rglob("disk.*"), *paths.containers.rglob("disk.*")):
        with open_chain(disk, within=[paths.root]) as chain:
            found[disk.parent.name] = chain.view.read(0, MIB)
    return found


async def test_room_comes_back_and_nothing_else_changes(world: World) -> None:
    await bloated(world)
    database, before, seen = world.engine._context.database, shown(world), world.seen()
    ids = {each.id: (each.parent, each.chain_id, each.capacity) for each in database.layers.values()}
    done = await world.engine.compactor.compact(progress=lambda *_: None)
    assert [each.name.split()[0] for each in done.shrunk] == ["layer", "container"]
    assert all(each.before - each.after > WASTE // 2 for each in done.shrunk)
    assert (done.left, done.looked_at, done.reclaimed > WASTE) == ([], 3, True)
    assert (shown(world), world.seen()) == (before, seen)
    assert {each.id: (each.parent, each.chain_id, each.capacity) for each in database.layers.values()} == ids
    for layer in database.layers.values():
        assert layer.size == disk_bytes(world.engine._context.paths.layer_disk(layer.id))
        machines.check_sealed(world.engine._context, layer)
    images = world.engine.images
    assert sum(step.size for step in images.history("mine")) == images.size(images.get("mine"))
    await world.check()
    await world.engine.containers.start("box")
    assert await world.ask("box", "cat", "/kept") == "new\n"


async def test_what_would_get_no_smaller_is_left(world: World) -> None:
    await bloated(world)
    await compact(world)
    files = {path: path.stat().st_ino for path in world.root.rglob("disk.*")}
    done = await world.engine.compactor.compact(progress=lambda *_: None)
    assert (done.shrunk, done.reclaimed) == ([], 0)
    assert {path: path.stat().st_ino for path in world.root.rglob("disk.*")} == files


async def test_what_runs_is_left_with_all_below_it(world: World) -> None:
    await bloated(world)
    await world.engine.containers.start("box")
    files = {path: path.stat().st_ino for path in world.root.rglob("disk.*")}
    done = await world.engine.compactor.compact(progress=lambda *_: None)
    assert [each.why for each in done.left] == ["box runs on it", "box runs on it", "it runs"]
    assert not any(each.failed for each in done.left)
    assert {path: path.stat().st_ino for path in world.root.rglob("disk.*")} == files


async def test_a_maintenance_machine_is_left_alone(world: World) -> None:
    await bloated(world)
    _, stream = await world.engine.containers.archive("box", "/kept")
    done = asyncio.create_task(world.engine.compactor.compact(progress=lambda *_: None))
    async for _ in stream:
        pass
    assert [each.why for each in (await done).left] == ["it is being worked on"] * 2
    await world.check()


async def test_a_changed_layer_is_not_made_good(world: World) -> None:
    await bloated(world)
    image = world.engine.images.get("mine")
    path = world.engine._context.paths.layer_disk(image.top)
    os.utime(path, ns=(1, 1))
    done = await world.engine.compactor.compact(progress=lambda *_: None)
    (left,) = done.left
    assert left.failed
    assert "was changed after it was sealed" in left.why
    assert path.stat().st_mtime_ns == 1


async def test_no_room_at_any_step(make_world: MakeWorld) -> None:
    world = await make_world()
    await bloated(world)
    assert await world.run(compact(world))
    steps = list(world.fate.steps)
    await world.close()
    for at, step in enumerate(steps, 1):
        if step.startswith(("the database is changed", "set ", "remove")):
            continue
        world = await make_world()
        await bloated(world)
        before, seen = shown(world), world.seen()

        def refuse() -> None:
            raise NoSpace("there is no room for more")

        world.fate.interrupt(at, refuse)
        done = await world.engine.compactor.compact(progress=lambda *_: None)
        assert len(done.shrunk) + len(done.left) == 2, step
        assert (shown(world), world.seen()) == (before, seen), step
        await world.check()
        await world.abandon()
        assert await world.open()
        await world.check()
        assert shown(world) == before, step
        await world.close()


async def test_cancelled_it_leaves_everything_whole(world: World) -> None:
    await bloated(world)
    before, seen = shown(world), world.seen()
    steps: list[str] = []

    def at_the_first_write(step: str, *_: object) -> None:
        steps.append(step)
        if step.startswith("writing"):
            task.cancel()

    task = asyncio.create_task(world.engine.compactor.compact(progress=at_the_first_write))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (shown(world), world.seen()) == (before, seen)
    await world.check()


async def test_killed_at_every_step(make_world: MakeWorld) -> None:
    world = await make_world()
    await bloated(world)
    assert await world.run(compact(world))
    steps = list(world.fate.steps)
    assert any(step.startswith("move disk.qcow2 to") for step in steps)
    await world.close()
    for at, step in enumerate(steps, 1):
        world = await make_world()
        await bloated(world)
        before, seen = shown(world), world.seen()
        assert not await world.run(compact(world), at=at)
        if at % 3 == 0 and await world.open(at=at // 3):
            await world.abandon()
        assert await world.open()
        await world.check()
        assert (shown(world), world.seen()) == (before, seen), step
        checked = await world.engine.checker.check(deep=True, repair=False, progress=lambda *_: None)
        assert checked.found == (), step
        await world.close()
