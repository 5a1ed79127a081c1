"""Each kind of damage is found, and told of rightly; what can be repaired is, and nothing is lost by it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ireko.disk.base import NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.formats import create_layer
from ireko.disk.operations.remake import remake
from ireko.drivers.base import Level
from ireko.engine.importing import Settings, Source
from ireko.engine.promotion import Wish
from ireko.engine.upkeep.checking import Checked, Found
from ireko.errors import Damaged
from ireko.model.container import Mount, MountKind
from ireko.model.image import MIB, Image
from ireko.model.names import Reference, new_id, short
from ireko.store.database import Database
from ireko.store.paths import Paths

from .conftest import MakeWorld
from .world import World, names


@dataclass
class Root:
    """A root with an image of two layers, and a stopped container on it with a volume; handy to spoil."""

    world: World

    @property
    def database(self) -> Database:
        return self.world.engine._context.database

    @property
    def paths(self) -> Paths:
        return self.world.engine._context.paths

    @property
    def image(self) -> Image:
        return self.world.engine.images.get("mine")

    @property
    def base(self) -> Path:
        return self.paths.layer_disk(self.image.layers[0])

    @property
    def top(self) -> Path:
        return self.paths.layer_disk(self.image.top)

    @property
    def box(self) -> str:
        return self.world.engine.containers.get("box").id

    @property
    def disk(self) -> Path:
        return self.paths.container_disk(self.box)

    @property
    def boot(self) -> Path:
        (folder,) = self.paths.boot.iterdir()
        return folder

    def change_layer(self, layer_id: str, **changes: object) -> None:
        with self.database.change() as change:
            change.put_layer(replace(self.database.layers[layer_id], **changes))  # type: ignore[arg-type]

    async def check(self, *, deep: bool = False, repair: bool = False) -> Checked:
        return await self.world.engine.checker.check(deep=deep, repair=repair, progress=lambda *_: None)

    async def found(self, *, deep: bool = False) -> tuple[Found, ...]:
        return (await self.check(deep=deep)).found


async def make(world: World) -> Root:
    await world.make("box", kept="old", start=False, mounts=(Mount(MountKind.VOLUME, "data", "/data"),))
    await world.engine.containers.commit("box", reference=Reference("mine"))
    await world.engine.containers.start("box")
    await world.ask("box", "sh", "-c", "echo new > /kept")
    await world.engine.containers.stop("box", timeout=0)
    return Root(world)


@pytest.fixture
async def root(world: World) -> Root:
    return await make(world)


def name_another_parent(disk: Path, text: str) -> None:
    """Have a disk name another place for its parent, as its file's times stay."""
    mode, times = disk.stat().st_mode, disk.stat()
    other = disk.with_name("other")
    remake(disk, other, parent=ParentReference((RecordedPath(PathKind.RELATIVE, text),), (), "qcow2"))
    other.replace(disk)
    disk.chmod(mode)
    os.utime(disk, ns=(times.st_atime_ns, times.st_mtime_ns))


def reseal(root: Root, path: Path) -> None:
    """The record follows the file: as if it had always been so."""
    root.change_layer(path.parent.name, identity=root.world.engine._context.driver.disks.identify(path))


def move_parent(root: Root) -> None:
    name_another_parent(root.top, f"../../moved/{root.base.parent.name}/disk.qcow2")
    reseal(root, root.top)


def write_into(path: Path, offset: int, data: bytes) -> None:
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    path.chmod(mode)


def spoil_table(path: Path) -> None:
    """A table's entry points out of the file; the time of its last write stays."""
    times = path.stat()
    l1 = int.from_bytes(path.read_bytes()[40:48], "big")
    write_into(path, l1, (1 << 50 | 1 << 63).to_bytes(8, "big"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def tag_nothing(root: Root) -> None:
    with root.database.change() as change:
        change.tag(Reference("ghost"), "sha256:" + "0" * 64)


def waste(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "disk.qcow2").write_bytes(b"somebody's only copy")


def forget_layer(root: Root) -> None:
    with root.database.change() as change:
        change.delete_layer(root.image.layers[0])


def forget_volume(root: Root) -> None:
    with root.database.change() as change:
        change.delete_volume("data")


@dataclass(frozen=True)
class Case:
    """A damage; what is said of each fault that comes of it; whether a repair mends all of it."""

    name: str
    spoil: Callable[[Root], object]
    said: tuple[str, ...]
    mends: bool = False
    level: Level = Level.ERROR
    deep: bool = False


CASES = [
    Case("writable", lambda r: r.top.chmod(0o600), ("was made writable: its mode is 0600",), mends=True),
    Case("base-missing", lambda r: r.base.unlink(), ('its disk "{base}" is missing',)),
    Case("touched", lambda r: os.utime(r.top, ns=(1, 1)), ("was changed after it was sealed",)),
    Case("no-disk", lambda r: write_into(r.top, 0, b"?"), ("can't be used",)),
    Case("other-capacity", lambda r: r.change_layer(r.image.top, capacity=MIB), (f"{MIB} are recorded",)),
    Case(
        "stale-size",
        lambda r: r.change_layer(r.image.top, size=1 << 30),
        (f"bytes on the disk, {1 << 30} are recorded",),
        mends=True,
        level=Level.WARNING,
    ),
    Case("moved-parent", move_parent, ('as its parent, which must be "{base}"',), mends=True),
    Case("tables", lambda r: spoil_table(r.top), ('its disk "{top}": the L1 entry',) * 2),
    Case("tag", tag_nothing, ("it names the image 000000000000",), mends=True, level=Level.WARNING),
    Case("layer-record", forget_layer, ("no record of the layer", "no record of its layer", "no record of its layer")),
    Case("kernel", lambda r: (r.boot / "kernel").unlink(), ("the kernel of the image",) * 2),
    Case(
        "other-kernel", lambda r: write_into(r.boot / "kernel", 0, b"?"), ("are not what they were",), deep=True
    ),
    Case("folder", lambda r: shutil.rmtree(r.disk.parent), ('its disk "{disk}" is missing',)),
    Case("disk", lambda r: r.disk.unlink(), ('its disk "{disk}" is missing',)),
    Case("key", lambda r: r.disk.with_name("host_key").unlink(), ("of its guest channel is missing",), mends=True),
    Case(
        "container-moved-parent",
        lambda r: name_another_parent(r.disk, f"../../moved/{r.image.top}/disk.qcow2"),
        ('as its parent, which must be "{top}"',),
        mends=True,
    ),
    Case(
        "container-other-parent",
        lambda r: name_another_parent(r.disk, f"../../layers/{r.image.layers[0]}/disk.qcow2"),
        ('as its parent, which must be "{top}"',),
    ),
    Case("container-tables", lambda r: spoil_table(r.disk), ('its disk "{disk}": the L1 entry',) * 2),
    Case("volume", lambda r: r.paths.volume_disk("data").unlink(), ('disk.raw" is missing',)),
    Case("volume-record", forget_volume, ('there is no record of the volume "data" that it mounts',)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_damage_is_found_and_repaired_where_that_loses_nothing(root: Root, case: Case) -> None:
    seen = root.world.seen() if case.mends else None
    words = {"base": root.base, "top": root.top, "disk": root.disk}
    case.spoil(root)
    found = await root.found(deep=case.deep)
    assert len(found) == len(case.said), "\n".join(each.found for each in found)
    for each, said in zip(found, case.said, strict=True):
        assert said.format(**words) in each.found
        assert (bool(each.remedy), each.repaired) == (True, False)
    assert found[0].level is case.level
    assert await root.found(deep=case.deep) == found  # nothing was changed
    repaired = (await root.check(deep=case.deep, repair=True)).found
    assert [(each.name, each.repaired) for each in repaired] == [(each.name, case.mends) for each in found]
    assert await root.found(deep=case.deep) == (() if case.mends else found)
    if case.mends:
        assert root.world.seen() == seen
        await root.world.check()
        await root.world.engine.containers.start("box")
        assert await root.world.ask("box", "cat", "/kept") == "new\n"


async def test_a_healthy_root_is_found_healthy_whatever_runs(root: Root) -> None:
    await root.world.make("web", kept="web")
    await root.world.engine.containers.commit("web", reference=Reference("web"))
    checked = await root.check(deep=True, repair=True)
    assert (checked.images, checked.layers, checked.containers, checked.volumes) == (3, 3, 2, 1)
    assert checked.found == ()
    await root.world.check()


async def test_content_that_was_read_once_proves_a_layer_that_was_touched(root: Root) -> None:
    await root.check(deep=True, repair=True)
    assert all(layer.chain_id for layer in root.database.layers.values())
    for path in (root.base, root.top):
        os.utime(path, ns=(1, 1))
    assert [each.repaired for each in (await root.check(repair=True)).found] == [False, False]
    assert [each.repaired for each in (await root.check(deep=True)).found] == [False, False]
    touched = (await root.check(deep=True, repair=True)).found
    assert all("its content is what it was" in each.found and each.repaired for each in touched)
    assert await root.found(deep=True) == ()
    await root.world.engine.containers.start("box")


async def test_content_that_changed_is_found_although_everything_else_is_as_it_was(root: Root) -> None:
    await root.check(deep=True, repair=True)
    times, data = root.top.stat(), root.top.read_bytes()
    write_into(root.top, data.index(b"toyfiles") + 100, b"?")
    os.utime(root.top, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert await root.found() == ()
    for repair in (False, True):
        (found,) = (await root.check(deep=True, repair=repair)).found
        assert ("its content is" in found.found, found.repaired) == (True, False)


async def test_a_layer_that_names_another_parent_is_proven_by_its_content_alone(root: Root) -> None:
    await root.check(deep=True, repair=True)
    name_another_parent(root.top, "../../elsewhere/disk.qcow2")
    assert [each.repaired for each in (await root.check(repair=True)).found] == [False, False]
    assert [each.repaired for each in (await root.check(deep=True, repair=True)).found] == [True, True]
    assert await root.found(deep=True) == ()
    await root.world.engine.containers.start("box")


async def test_nothing_is_relinked_below_a_machine(root: Root) -> None:
    await root.world.engine.containers.start("box")
    move_parent(root)
    before = root.top.stat().st_ino
    (found,) = (await root.check(repair=True)).found
    assert ("box runs on it" in found.found, found.repaired) == (True, False)
    assert root.top.stat().st_ino == before


async def test_what_no_record_knows_is_put_aside(root: Root) -> None:
    folders = [root.paths.layers, root.paths.containers, root.paths.volumes, root.paths.boot]
    name = new_id()
    for folder in folders:
        waste(folder, name)
    assert all(each.level is Level.WARNING for each in await root.found())
    repaired = (await root.check(repair=True)).found
    assert sorted(each.name for each in repaired) == sorted(f"{folder.name}/{short(name)}" for folder in folders)
    assert all(each.repaired for each in repaired)
    assert names(root.paths.lost) == {f"{folder.name}-{name}" for folder in folders}
    assert all((each / "disk.qcow2").read_bytes() == b"somebody's only copy" for each in root.paths.lost.iterdir())
    waste(root.paths.layers, name)
    await root.check(repair=True)
    assert len(names(root.paths.lost)) == len(folders) + 1
    assert await root.found() == ()
    await root.world.engine.close()
    assert await root.world.open()
    assert len(names(root.paths.lost)) == len(folders) + 1


async def test_half_made_things_of_before_are_removed_and_those_of_now_are_not(root: Root) -> None:
    folder, part = root.paths.tmp / "old", root.top.with_name(".disk.qcow2.0123.part")
    folder.mkdir()
    part.write_bytes(b"")
    assert await root.found() == ()
    root.world.engine.checker._since = time.time() + 1
    repaired = (await root.check(repair=True)).found
    assert [(each.name, each.repaired) for each in repaired] == [
        (f"layers/{short(root.top.parent.name)}/{part.name}", True),
        ("tmp/old", True),
    ]
    assert not folder.exists()
    assert not part.exists()


async def test_a_fresh_container_is_made_again(world: World) -> None:
    root = Root(world)
    await world.make("box", start=False)
    shutil.rmtree(root.disk.parent)
    (found,) = (await root.check(repair=True)).found
    assert found.repaired
    await world.engine.containers.start("box")
    assert await world.ask("box", "echo", "yes") == "yes\n"


async def test_what_is_being_worked_on_is_left_out(root: Root) -> None:
    root.disk.unlink()
    async with root.world.engine._context.locks(root.box):
        assert await root.found() == ()
    assert len(await root.found()) == 1


async def test_a_record_that_can_not_be_read_is_named_and_what_it_stands_for_stays(root: Root) -> None:
    layer, volume = root.image.top, root.paths.volume("data")
    await root.world.engine.close()
    with sqlite3.connect(root.paths.database) as connection:
        connection.execute("UPDATE layers SET record = '{' WHERE id = ?", (layer,))
        connection.execute("UPDATE volumes SET record = '{'")
    connection.close()
    assert await root.world.open()
    found = (await root.check(repair=True)).found
    assert [each.name for each in found] == [f"record {short(layer)}", "record data"]
    assert not any(each.repaired for each in found)
    assert root.paths.layer(layer).exists()
    assert volume.exists()
    assert not root.paths.lost.exists()


async def test_a_container_whose_image_can_not_be_read_is_told_of(root: Root) -> None:
    containers = root.world.engine.containers
    with sqlite3.connect(root.paths.database) as connection:
        connection.execute("UPDATE images SET record = '{' WHERE id = ?", (containers.get("box").image,))
    connection.close()
    boots = names(root.paths.boot)
    await root.world.engine.close()
    assert await root.world.open()
    containers, place = root.world.engine.containers, root.world.left
    for work in (
        containers.start("box"),
        containers.commit("box"),
        root.world.engine.promoter.promote("box", Wish(place), progress=lambda *_: None),
    ):
        with pytest.raises(Damaged, match='of the container "box" is missing from the database'):
            await work
    await root.world.engine.images.make("debian", progress=lambda *_: None)
    await root.world.engine.images.remove("debian")
    assert names(root.paths.boot) == boots


async def test_a_daemon_keeps_what_records_speak_of(root: Root) -> None:
    """A record that is gone is no reason to delete what others need: a backup of the database may have it."""
    layer = root.image.layers[0]
    forget_layer(root)
    forget_volume(root)
    await root.world.engine.close()
    assert await root.world.open()
    assert root.paths.layer_disk(layer).exists()
    assert root.paths.volume_disk("data").exists()


async def test_lists_do_without_a_record_that_is_gone(root: Root) -> None:
    before = await root.world.engine.system.disk_usage()
    forget_layer(root)
    after = await root.world.engine.system.disk_usage()
    assert [each.image.id for each in after.images] == [each.image.id for each in before.images]
    assert all(0 <= now.size < then.size for now, then in zip(after.images, before.images, strict=True))
    assert after.layers_size < before.layers_size
    assert (await root.world.engine.containers.sizes("box")).own > 0
    assert root.world.engine.images.size(root.image) > 0


async def linked(world: World, folder: Path) -> Path:
    """Somebody else's disk, with an image that is linked to it."""
    disk = folder / "theirs.qcow2"
    with create_layer(disk, NewLayer(64 * MIB)) as writer:
        writer.write_data(0, b"toyfiles" + b"\0" * (MIB - 8))
        writer.finish()
    await world.engine.importer.bring(
        Source(disk), Settings(), reference=Reference("theirs"), link=True, progress=lambda *_: None
    )
    return disk


def alter(disk: Path) -> None:
    disk.write_bytes(disk.read_bytes().replace(b"toyfiles", b"TOYFILES"))


LINKED = [
    (alter, ("which was changed since it was linked", "its content is")),
    (lambda disk: disk.unlink(), ("there is no file",)),
]


@pytest.mark.parametrize(("spoil", "said"), LINKED, ids=["changed", "gone"])
async def test_linked_disks_are_held_to_what_they_were(
    world: World, tmp_path: Path, spoil: Callable[[Path], object], said: Sequence[str]
) -> None:
    root, disk = Root(world), await linked(world, tmp_path)
    before = disk.read_bytes()
    assert await root.found(deep=True) == ()
    done = await world.engine.compactor.compact(progress=lambda *_: None)
    assert (done.left, done.shrunk, disk.read_bytes()) == ([], [], before)
    assert (await root.check(deep=True, repair=True)).found == ()
    spoil(disk)
    found = (await root.check(deep=True, repair=True)).found
    assert [text in each.found for text, each in zip(said, found, strict=True)] == [True] * len(said)
    assert not any(each.repaired for each in found)
    await world.engine.images.remove("theirs")
    assert await root.found() == ()


@pytest.mark.parametrize("noted", [True, False])
async def test_a_linked_disk_that_was_only_touched(world: World, tmp_path: Path, *, noted: bool) -> None:
    root, disk = Root(world), await linked(world, tmp_path)
    await root.check(deep=True, repair=noted)
    os.utime(disk, ns=(1, 1))
    (found,) = await root.found()
    assert "was changed since it was linked" in found.found
    (again,) = (await root.check(deep=True, repair=True)).found
    assert again.repaired is noted
    assert (len(await root.found(deep=True)) == 0) is noted


async def test_killed_while_a_parent_is_relinked(make_world: MakeWorld) -> None:
    async def repair(world: World) -> None:
        await Root(world).check(repair=True)

    world = await make_world()
    move_parent(await make(world))
    assert await world.run(repair(world))
    steps = list(world.fate.steps)
    await world.close()
    for at, step in enumerate(steps, 1):
        world = await make_world()
        root = await make(world)
        seen = world.seen()
        move_parent(root)
        assert not await world.run(repair(world), at=at)
        assert await world.open()
        assert len(await root.found()) in {0, 1}, step
        await repair(world)
        assert await root.found(deep=True) == (), step
        await world.check()
        assert world.seen() == seen, step
        await world.close()
