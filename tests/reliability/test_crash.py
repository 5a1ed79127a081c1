"""A daemon that is killed at every single step of every verb, on the fake driver.

The next daemon finds everything: containers that ran run and answer, the verb has happened or it has not, and nothing is left
over. A third of them is killed while it finds out, too.
"""

from __future__ import annotations

import pytest

from ireko.model.container import RestartName, RestartPolicy

from .conftest import MakeWorld
from .scenarios import SCENARIOS, Scenario, box_has_ended, prepared
from .world import World


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_killed_at_every_step(make_world: MakeWorld, scenario: Scenario) -> None:
    world = await prepared(make_world, scenario)
    before = world.seen()
    assert await world.run(scenario.verb(world))
    steps, after = list(world.fate.steps), world.seen()
    assert steps
    await world.check()
    for at, step in enumerate(steps, 1):
        if world.seen() != before:
            await world.close()
            world = await prepared(make_world, scenario)
            assert world.seen() == before
        if await world.run(scenario.verb(world), at=at):
            continue  # it took fewer steps this time
        if at % 3 == 0 and await world.open(at=at // 3):
            await world.abandon()
        assert await world.open()
        await world.quiet()
        if scenario.ends:
            await box_has_ended(world)
        await world.check()
        found = world.seen()
        assert found in (before, after), f"killed before step {at}, {step}: {found}, not {before} or {after}"
    await world.close()


async def test_always_starts_with_the_daemon(world: World) -> None:
    await world.make("box", restart=RestartPolicy(RestartName.ALWAYS))
    await world.abandon()
    await world.host.cut_power()
    assert await world.open()
    await world.quiet()
    assert world.seen().containers["box"][0] == "running"
    await world.check()
