"""What else happens while something that takes its time is at work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ireko.disk.base import Cancelled, NewLayer
from ireko.disk.base import Progress as Steps
from ireko.disk.formats import create_layer
from ireko.drivers.fake import content
from ireko.engine import adoption
from ireko.engine.exporting import Target
from ireko.engine.importing import Settings, Source
from ireko.engine.promotion import Wish
from ireko.engine.upkeep import leftovers
from ireko.errors import Conflict, Damaged, NoSpace
from ireko.model.container import ContainerSpec
from ireko.model.image import GIB, MIB, Image
from ireko.model.names import Reference, new_id, short
from ireko.model.recipe import Progress
from tests.disks import write_disk

from .scenarios import bloated, committed
from .test_races import soon
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


async def bring(
    world: World, disk: Path, name: str, progress: Progress = quiet, *, like: str = "", link: bool = False
) -> Image:
    settings = Settings(world.engine.images.get(like) if like else None)
    made = await world.engine.importer.bring(
        Source(disk), settings, reference=Reference(name), link=link, progress=progress
    )
    return made.image


def toy_disk(path: Path) -> Path:
    """A disk of a toy guest, as large as that of nano."""
    with create_layer(path, NewLayer(GIB)) as writer:
        writer.write_data(0, content.encode({}, GIB).ljust(MIB, b"\0"))
        writer.finish()
    return path


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


READERS: dict[str, Callable[[World, Path, Progress], Coroutine[Any, Any, object]]] = {
    "flatten": lambda world, _, told: world.engine.reshaper.flatten("theirs", reference=None, progress=told),
    "rebase": lambda world, _, told: world.engine.reshaper.rebase("theirs", "nano", reference=None, progress=told),
    "export": lambda world, place, told: world.engine.exporter.disk("theirs", Target(place), progress=told),
    "tree": lambda world, place, told: world.engine.exporter.tree(["theirs"], Target(place), progress=told),
    "promote": lambda world, place, told: world.engine.promoter.promote("box", Wish(place), progress=told),
}


@pytest.mark.parametrize("verb", READERS)
async def test_a_linked_disk_that_is_written_to_while_it_is_read(world: World, tmp_path: Path, verb: str) -> None:
    disk, place = toy_disk(tmp_path / "theirs.qcow2"), tmp_path / "made.qcow2"
    before = disk.stat().st_mtime_ns
    await bring(world, disk, "theirs", link=True, like="nano")
    await world.engine.containers.create(ContainerSpec(image="theirs"), name="box")

    async def write() -> None:
        os.utime(disk, ns=(1, 1))

    with pytest.raises(Damaged, match="was changed since it was linked"):
        await READERS[verb](world, place, Meanwhile(write))
    assert not place.exists()
    os.utime(disk, ns=(before, before))
    await world.check()
    assert not any(layer.diff_id for layer in world.engine._context.database.layers.values() if layer.linked)
    assert len(world.engine.images.all()) == 2


async def test_a_file_that_is_linked_to_while_it_is_to_be_replaced(world: World, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "theirs.qcow2", {0: 1})
    before = disk.read_bytes()
    meanwhile = Meanwhile(lambda: bring(world, disk, "theirs", link=True))
    with pytest.raises(Conflict, match="stands on"):
        await world.engine.exporter.disk("nano", Target(disk, force=True), progress=meanwhile)
    await meanwhile.result()
    assert disk.read_bytes() == before
    await world.check()


async def test_layers_below_a_container_that_is_being_changed_are_left(world: World) -> None:
    """One that is being started, above all: what it is held to is the record of the moment before."""
    await bloated(world)
    async with world.engine._context.locks(world.engine.containers.get("box").id):
        compact = asyncio.create_task(world.engine.compactor.compact(progress=quiet))
        await soon(compact)
    done = await compact
    assert [each.why for each in done.left] == ["it is being worked on"] * 2
    assert [each.name for each in done.shrunk] == ["container box"]
    await world.check()


async def test_a_layer_that_goes_while_it_is_checked(world: World, tmp_path: Path) -> None:
    context = world.engine._context
    image = await bring(world, write_disk(tmp_path / "disk.qcow2", {0: 1}), "web")
    with context.database.change() as change:
        change.put_layer(replace(context.database.layers[image.top], size=GIB))
    meanwhile = Meanwhile(lambda: world.engine.images.remove("web"), step=f"checking layer {short(image.top)}")
    checked = await world.engine.checker.check(deep=True, repair=True, progress=meanwhile)
    assert [each.found for each in checked.found] == []
    await world.check()


async def test_what_is_noted_of_a_layer_while_it_is_checked_stays(world: World) -> None:
    database, layer = world.engine._context.database, world.engine.images.get("nano").top

    async def note() -> None:
        with database.change() as change:
            change.put_layer(replace(database.layers[layer], origin="a file"))

    await world.engine.checker.check(deep=True, repair=True, progress=Meanwhile(note))
    assert database.layers[layer].origin == "a file"
    assert database.layers[layer].chain_id


async def test_what_has_come_into_use_is_not_put_aside(world: World) -> None:
    context = world.engine._context
    folder = context.paths.boot / new_id()
    folder.mkdir()
    (fault,) = leftovers.without_record(context)
    assert fault.mend is not None
    context.held_boots.update([folder.name])
    with pytest.raises(Conflict, match="has come into use"):
        await fault.mend(quiet)
    assert folder.is_dir()


def test_nobody_looks_on_for_the_disks_of_a_machine_that_is_given_up(tmp_path: Path) -> None:
    write_disk(tmp_path / "disk.qcow2", {})
    steps = Steps()
    steps.cancel()
    with pytest.raises(Cancelled):
        adoption._leaf(tmp_path, steps)


async def test_an_image_that_there_is_no_room_to_record_takes_nothing_of_others_along(world: World) -> None:
    """What no record knows among kernels may be somebody's only copy: a repair puts it aside, and nothing else touches it."""
    world.fate.begin()
    await world.engine.images.make("debian", progress=quiet)
    recorded = world.fate.steps.index("change the database") + 1
    await world.engine.images.remove("debian")
    kept = world.engine._context.paths.boot / new_id()
    kept.mkdir()

    def refuse() -> None:
        raise NoSpace("the disk is full")

    world.fate.interrupt(recorded, refuse)
    with pytest.raises(NoSpace):
        await world.engine.images.make("debian", progress=quiet)
    assert kept.is_dir()
    kept.rmdir()
    await world.check()
