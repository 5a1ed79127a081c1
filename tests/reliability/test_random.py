"""Several users at once do this and that, and the daemon is killed at any moment, again and again.

Each user keeps a book of what the daemon has acknowledged; whatever was begun when it was killed may have happened or not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from ireko.errors import IrekoError
from ireko.model.container import Mount, MountKind
from ireko.model.names import Reference

from .world import World

LIVES, USERS, VERBS = 6, 4, 12


@dataclass
class User:
    """Has one name for containers, one for images and one for volumes. `sure` False: the last verb was cut off."""

    world: World
    number: int
    random: random.Random
    status: str = "gone"
    kept: str = ""
    sure: bool = True
    count: int = field(default=0)

    @property
    def name(self) -> str:
        return f"user{self.number}"

    async def work(self) -> None:
        for _ in range(VERBS):
            verb = self.random.choice(self._verbs())
            self.sure = False
            await verb()
            self.sure = True

    def _verbs(self) -> list[Callable[[], Awaitable[None]]]:
        if self.status == "gone":
            return [self.create]
        ran = (
            [self.write, self.write, self.stop, self.restart] if self.status == "running" else [self.start, self.start]
        )
        return [*ran, self.commit, self.recreate, self.remove]

    async def create(self) -> None:
        volume = Mount(MountKind.VOLUME, self.random.choice([self.name, ""]), "/data")
        image = self.name if str(self._image) in self.world.seen().tags else "nano"
        await self.world.make(self.name, start=False, mounts=(volume,), image=image)
        self.status, self.kept = "created", self.world.seen().containers[self.name][2]

    async def start(self) -> None:
        await self.world.engine.containers.start(self.name)
        self.status = "running"

    async def write(self) -> None:
        self.count += 1
        await self.world.ask(self.name, "sh", "-c", f"echo {self.count} > /kept")
        self.kept = str(self.count)

    async def stop(self) -> None:
        await self.world.engine.containers.stop(self.name, timeout=self.random.choice([0, 10]))
        self.status = "exited"

    async def restart(self) -> None:
        await self.world.engine.containers.restart(self.name)

    async def commit(self) -> None:
        await self.world.engine.containers.commit(self.name, reference=self._image)

    async def recreate(self) -> None:
        await self.world.engine.containers.recreate(self.name)
        found = self.world.seen().containers[self.name]
        self.status, self.kept = found[0], found[2]

    async def remove(self) -> None:
        await self.world.engine.containers.remove(self.name, force=True, volumes=True)
        self.status, self.kept = "gone", ""
        if self.random.random() < 0.5 and str(self._image) in self.world.seen().tags:
            self.sure = False
            await self.world.engine.images.remove(self.name)

    def compare(self) -> None:
        """What was acknowledged is so; what was cut off is what it is from now on."""
        status, _, kept = self.world.seen().containers.get(self.name, ("gone", None, ""))
        if self.sure:
            assert (status, kept) == (self.status, self.kept), self
        self.status, self.kept = status, kept

    @property
    def _image(self) -> Reference:
        return Reference(self.name)


@pytest.mark.parametrize("seed", range(8))
async def test_killed_at_any_moment(world: World, seed: int) -> None:
    dice = random.Random(seed)
    users = [User(world, number, random.Random(f"{seed} {number}")) for number in range(USERS)]
    for _ in range(LIVES):

        async def everybody() -> None:
            async with asyncio.TaskGroup() as group:
                for user in users:
                    group.create_task(user.work())

        if not await world.run(everybody(), at=dice.randrange(1, 400)):
            if dice.random() < 0.3 and await world.open(at=dice.randrange(1, 10)):
                await world.abandon()
            assert await world.open()
            await world.quiet()
        await world.check()
        for user in users:
            user.compare()


async def test_nothing_is_left_of_everything(world: World) -> None:
    before = world.seen()
    for number in range(3):
        user = User(world, number, random.Random(number))
        await user.work()
        if user.status != "gone":
            await world.engine.containers.remove(user.name, force=True, volumes=True)
        for image in [each for each in world.seen().tags if each.startswith("user")]:
            await world.engine.images.remove(image)
        for volume in world.seen().volumes:
            await world.engine.volumes.remove(volume)
    with pytest.raises(IrekoError):
        world.engine.containers.get("user0")
    assert world.seen() == before
    await world.check()
