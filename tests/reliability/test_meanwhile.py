"""What else happens while something that takes its time is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ireko.engine.importing import Settings, Source
from ireko.model.image import Image
from ireko.model.names import Reference
from ireko.model.recipe import Progress
from tests.disks import write_disk

from .scenarios import committed
from .world import World


def quiet(*_: object) -> None:
    """Progress that nobody follows."""


class Meanwhile:
    """Progress that has something else done, once, as soon as the work has begun."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, object]], *, step: str = "") -> None:
        self._work = work
        self._step = step
        self._task: asyncio.Task[object] | None = None

    def __call__(self, step: str, _done: int | None, _total: int | None) -> None:
        if self._task is None and step.startswith(self._step):
            self._task = asyncio.create_task(self._work())

    async def result(self) -> object:
        assert self._task is not None
        return await self._task


async def bring(world: World, disk: Path, name: str, progress: Progress = quiet, like: str = "") -> Image:
    settings = Settings(world.engine.images.get(like) if like else None)
    made = await world.engine.importer.bring(
        Source(disk), settings, reference=Reference(name), link=False, progress=progress
    )
    return made.image


async def test_an_image_that_lends_its_kernel_goes(world: World, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "disk.qcow2", {0: 1})
    meanwhile = Meanwhile(lambda: world.engine.images.remove("nano"))
    await bring(world, disk, "web", meanwhile, like="nano")
    await meanwhile.result()
    await world.check()


async def test_an_image_that_lent_its_kernel_in_vain_goes(world: World, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "disk.qcow2", {0: 1})

    async def remove() -> None:
        await world.engine.images.remove("nano")
        work.cancel()

    work = asyncio.create_task(bring(world, disk, "web", Meanwhile(remove), like="nano"))
    with pytest.raises(asyncio.CancelledError):
        await work
    await world.check()


@pytest.mark.parametrize("verb", ["flatten", "rebase"])
async def test_all_images_go_while_one_is_made_of_them(world: World, tmp_path: Path, verb: str) -> None:
    """The oldest one last: its layers are the only ones that go at once."""
    old = await bring(world, write_disk(tmp_path / "old.qcow2", {0: 1}), "old")
    with world.engine._context.database.change() as change:
        change.put_image(replace(old, created=old.created - timedelta(days=1)))
    await committed(world)
    await world.engine.containers.remove("box", force=True)
    await world.engine.images.make("debian", progress=quiet)
    meanwhile = Meanwhile(lambda: world.engine.images.prune(dangling_only=False))
    if verb == "flatten":
        await world.engine.reshaper.flatten("mine", reference=Reference("flat"), progress=meanwhile)
    else:
        await world.engine.reshaper.rebase("mine", "debian", reference=Reference("flat"), progress=meanwhile)
    await meanwhile.result()
    await world.check()
    await world.make("other", image="flat", kept="new")


async def test_a_disk_that_two_bring_at_once_is_stored_once(world: World, tmp_path: Path) -> None:
    base = write_disk(tmp_path / "base.vhdx", {0: 1})
    leaves = [write_disk(tmp_path / f"{name}.vhdx", {64: 2}, parent=base) for name in ("one", "two")]
    one, two, again = await asyncio.gather(
        bring(world, leaves[0], "one"), bring(world, leaves[1], "two"), bring(world, leaves[0], "again")
    )
    assert one.layers[0] == two.layers[0]
    assert one.layers == again.layers
    await world.check()
