"""Checks and compacts beside everything else that goes on: what is in the making is no damage, and nothing gets in the way."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import pytest

from ireko.engine.upkeep.checking import Checked, Found
from ireko.errors import IrekoError
from ireko.model.container import Mount, MountKind
from ireko.model.names import Reference

from .conftest import MakeWorld
from .scenarios import SCENARIOS, Scenario, bloat, prepared
from .world import World

ROUNDS = 40
Upkeep = Callable[[World], Awaitable[object]]


async def lead_a_life(world: World, name: str, dice: random.Random) -> None:
    """What a container may meet; what can't be done at a moment is left."""
    containers, images, volumes = world.engine.containers, world.engine.images, world.engine.volumes
    volume = Mount(MountKind.VOLUME, name, "/data")
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: world.make(name, start=False, mounts=(volume, Mount(MountKind.VOLUME, "", "/cache"))),
        lambda: containers.start(name),
        lambda: containers.commit(name, reference=Reference(name)),
        lambda: containers.recreate(name),
        lambda: containers.stop(name, timeout=0),
        lambda: containers.diff(name),
        lambda: containers.remove(name, force=True, volumes=True),
        lambda: images.remove(name, force=True),
        lambda: images.make("debian", progress=lambda *_: None),
        lambda: images.remove("debian:12"),
        lambda: volumes.remove(name),
    ]
    for verb in (verbs[0], *dice.choices(verbs, k=ROUNDS)):
        with contextlib.suppress(IrekoError):
            await verb()


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_in_the_making_is_no_damage(world: World, seed: int) -> None:
    found: list[Found] = []
    looks = 0
    lives = [
        asyncio.create_task(lead_a_life(world, f"box{number}", random.Random(f"{seed} {number}")))
        for number in range(3)
    ]
    while not all(life.done() for life in lives):
        checked = await world.engine.checker.check(deep=looks % 2 > 0, repair=looks % 3 > 0, progress=lambda *_: None)
        found += checked.found
        looks += 1
    for life in lives:
        life.result()
    assert (found, looks > 1) == ([], True)
    await world.quiet()
    await world.check()
    assert not world.engine._context.paths.lost.exists()


@pytest.mark.parametrize("seed", [3, 4])
async def test_disks_are_made_small_beside_it(world: World, seed: int) -> None:
    await world.make("kept", kept="old", start=False)
    failed: list[str] = []
    rounds = 0
    disk = world.engine._context.paths.container_disk(world.engine.containers.get("kept").id)
    lives = [
        asyncio.create_task(lead_a_life(world, f"box{number}", random.Random(f"{seed} {number}")))
        for number in range(3)
    ]
    while not all(life.done() for life in lives):
        bloat(disk)
        done = await world.engine.compactor.compact(progress=lambda *_: None)
        assert "container kept" in {each.name for each in done.shrunk}
        failed += [f"{each.name}: {each.why}" for each in done.left if each.failed]
        rounds += 1
    for life in lives:
        life.result()
    assert (failed, rounds > 1) == ([], True)
    await world.quiet()
    await world.check()
    assert world.seen().containers["kept"][2] == "old"


TOGETHER = ("recreate-committed", "commit-running", "rm-f-committed", "create-volumes")


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each.name in TOGETHER], ids=lambda each: each.name)
async def test_a_check_that_begins_at_any_step_of_a_verb_finds_nothing(
    make_world: MakeWorld, scenario: Scenario
) -> None:
    world = await prepared(make_world, scenario)
    before = world.seen()
    assert await world.run(scenario.verb(world))
    steps, loop = list(world.fate.steps), asyncio.get_running_loop()
    for at, step in enumerate(steps, 1):
        if world.seen() != before:
            await world.close()
            world = await prepared(make_world, scenario)
        checks: list[asyncio.Task[Checked]] = []

        def look(world: World = world, checks: list[asyncio.Task[Checked]] = checks) -> None:
            check = world.engine.checker.check(deep=False, repair=True, progress=lambda *_: None)
            loop.call_soon_threadsafe(lambda: checks.append(loop.create_task(check)))

        world.fate.interrupt(at, look)
        await scenario.verb(world)
        await asyncio.sleep(0)
        assert checks, step
        for check in checks:
            assert (await check).found == (), step
        await world.quiet()
        await world.check()
        assert not world.engine._context.paths.lost.exists(), step
    await world.close()
