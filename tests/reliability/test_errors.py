"""Verbs that fail or are cancelled at any of their steps: nothing is left, and the daemon goes on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ireko.errors import IrekoError, NoSpace

from .conftest import MakeWorld
from .scenarios import SCENARIOS, Scenario, box_has_ended, prepared
from .world import Seen, World

# What can't fail for want of room: it happens after the disk has agreed, or takes away.
NEEDS_NO_ROOM = ("the database is changed", "remove", "set ", "find", "power_off", "request_power_off")


def fits(scenario: Scenario, found: Seen, ends: tuple[Seen, Seen]) -> bool:
    return found in ends or found.containers.get("box", ("",))[0] in scenario.partly


async def settled(world: World, scenario: Scenario) -> Seen:
    if scenario.ends:
        await box_has_ended(world)
    await world.quiet()
    await world.check()
    return world.seen()


async def steps_and_ends(make_world: MakeWorld, scenario: Scenario) -> tuple[list[str], tuple[Seen, Seen]]:
    world = await prepared(make_world, scenario)
    before = world.seen()
    assert await world.run(scenario.verb(world))
    steps, after = list(world.fate.steps), world.seen()
    await world.close()
    return steps, (before, after)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_no_room(make_world: MakeWorld, scenario: Scenario) -> None:
    steps, ends = await steps_and_ends(make_world, scenario)
    world = await prepared(make_world, scenario)
    for at, step in enumerate(steps, 1):
        if step.startswith(NEEDS_NO_ROOM):
            continue
        if world.seen() != ends[0]:
            await world.close()
            world = await prepared(make_world, scenario)

        def refuse() -> None:
            raise NoSpace("there is no room for more", hint="ireko system df")

        world.fate.interrupt(at, refuse)
        with contextlib.suppress(NoSpace):
            await scenario.verb(world)
        found = await settled(world, scenario)
        assert fits(scenario, found, ends), f"no room at step {at}, {step}: {found}, not {ends}"
    await world.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_cancelled(make_world: MakeWorld, scenario: Scenario) -> None:
    steps, ends = await steps_and_ends(make_world, scenario)
    world = await prepared(make_world, scenario)
    loop = asyncio.get_running_loop()
    for at, step in enumerate(steps, 1):
        if world.seen() != ends[0]:
            await world.close()
            world = await prepared(make_world, scenario)

        async def verb(world: World = world) -> None:
            await scenario.verb(world)

        task = asyncio.create_task(verb())
        world.fate.interrupt(at, lambda task=task: loop.call_soon_threadsafe(task.cancel))  # type: ignore[misc]
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.exception() is None or isinstance(task.exception(), IrekoError)
        found = await settled(world, scenario)
        assert fits(scenario, found, ends), f"cancelled at step {at}, {step}: {found}, not {ends}"
    await world.close()
