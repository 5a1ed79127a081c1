"""Worlds to end daemons in."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from .world import World

MakeWorld = Callable[[], Awaitable[World]]


@pytest.fixture
async def make_world(base_root: Path, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Makes worlds that have the image nano, with a daemon that serves."""
    numbers = itertools.count()
    made: list[World] = []

    async def make() -> World:
        root = tmp_path / f"root{next(numbers)}"
        shutil.copytree(base_root, root)
        world = World(root)
        assert await world.open()
        made.append(world)
        return world

    yield make
    for world in made:
        if not world.closed:
            await world.abandon()
        await world.host.cut_power()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """One world, for a test that needs no more."""
    return await make_world()
