"""Every verb that changes anything, and what has to be there before."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.base import Progress
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.operations.rewriting import same_as
from ireko.disk.transfer import Mover
from ireko.disk.view import View
from ireko.engine.exporting import Target
from ireko.engine.importing import Settings, Source
from ireko.engine.promotion import Wish
from ireko.errors import IrekoError
from ireko.host.files import disk_bytes
from ireko.model.container import Mount, MountKind
from ireko.model.image import MIB
from ireko.model.names import Reference
from tests.disks import write_disk

from .conftest import MakeWorld
from .world import Verb, World

NAMED = Mount(MountKind.VOLUME, "data", "/data")
UNNAMED = Mount(MountKind.VOLUME, "", "/cache")


async def nothing(world: World) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Scenario:
    """A verb, what has to be there before, and whether the box comes to its end by itself.

    `partly`: how the box may stand after an error that came too late to take everything back.
    """

    name: str
    verb: Verb
    before: Verb = nothing
    ends: bool = False
    partly: tuple[str, ...] = ()


async def stopped(world: World) -> None:
    await world.make("box", kept="old", start=False)


async def running(world: World) -> None:
    await world.make("box", kept="old")


async def committed(world: World) -> None:
    await running(world)
    await world.engine.containers.commit("box", reference=Reference("mine"))


async def with_volumes(world: World) -> None:
    await world.make("box", kept="old", mounts=(NAMED, UNNAMED))


async def made_volume(world: World) -> None:
    await world.engine.volumes.create("disk")


async def exits(world: World) -> None:
    await world.make("box", "sh", "-c", "true", start=False, auto_remove=False)


async def goes(world: World) -> None:
    await world.make("box", "sh", "-c", "exit 3", start=False, auto_remove=True, mounts=(UNNAMED,))


async def start_and_wait(world: World) -> None:
    await world.engine.containers.start("box")
    with contextlib.suppress(IrekoError):
        await world.engine.containers.wait("box")


async def copy_in(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"\0" * 1024

    await world.engine.containers.unpack("box", "/", pieces())


async def promote(world: World, *, register: str = "", move: bool = False) -> None:
    """What an earlier try has left is the user's, who clears it away."""
    shutil.rmtree(world.left, ignore_errors=True)
    world.host.registered.clear()
    await world.engine.promoter.promote("box", Wish(world.left, "", register, move), progress=lambda *_: None)


async def export(world: World, *, tree: bool = False) -> None:
    """In place of what an earlier try has left."""
    world.exports.mkdir(exist_ok=True)
    if tree:
        target = Target(world.exports / "mine.tar", "vhdx", force=True)
        await world.engine.exporter.tree(["mine", "nano"], target, progress=lambda *_: None)
    else:
        await world.engine.exporter.disk(
            "mine", Target(world.exports / "mine.vhdx", force=True), progress=lambda *_: None
        )


async def load(world: World) -> None:
    await world.engine.loader.load_file(world.exports / "mine.tar", reference=None, progress=lambda *_: None)


async def exported(world: World) -> None:
    await committed(world)
    await export(world, tree=True)


async def only_exported(world: World) -> None:
    await exported(world)
    await world.engine.containers.remove("box", force=True)
    await world.engine.images.remove("mine")


WASTE = 8 * MIB


def bloat(path: Path) -> None:
    """Have a disk store zeros as data, behind all that it holds, unless it does."""
    if disk_bytes(path) > WASTE:
        return
    mode = path.stat().st_mode
    with open_layer(path) as layer, create_layer(path, same_as(layer.info), replace=True) as writer:
        view, end = View([layer]), layer.info.size - WASTE
        mover = Mover(view, writer, Progress())
        for extent in view.extents(0, end):
            mover.move(extent)
        writer.write_data(end, b"\0" * WASTE)
        writer.finish()
    path.chmod(mode)


async def bloated(world: World) -> None:
    """A stopped container with room to give back, on a layer that has some, too."""
    paths = world.engine._context.paths
    identifier = await world.make("box", kept="old", start=False)
    bloat(paths.container_disk(identifier))
    await world.engine.containers.commit("box", reference=Reference("mine"))
    await world.engine.containers.start("box")
    await world.ask("box", "sh", "-c", "echo new > /kept")
    await world.engine.containers.stop("box", timeout=0)
    bloat(paths.container_disk(identifier))


async def compact(world: World) -> None:
    """What room an earlier try has given back is wasted again."""
    bloat(world.engine._context.paths.container_disk(world.engine.containers.get("box").id))
    await world.engine.compactor.compact(progress=lambda *_: None)


async def check(world: World) -> None:
    await world.engine.checker.check(deep=True, repair=True, progress=lambda *_: None)


async def _tag(world: World) -> None:
    world.engine.images.tag("nano", Reference("small", "1"))


async def _only_debian_12(world: World) -> None:
    await world.engine.images.make("debian", progress=lambda *_: None, reference=Reference("debian", "12"))


async def _only_mine(world: World) -> None:
    await committed(world)
    await world.engine.containers.remove("box", force=True)


def disks(world: World) -> tuple[Path, Path]:
    """A disk and a child of it, outside the root."""
    folder = world.root.parent / "vm"
    base, leaf = folder / "base.qcow2", folder / "leaf.qcow2"
    if not folder.exists():
        folder.mkdir()
        write_disk(base, {0: 1})
        write_disk(leaf, {64: 2}, parent=base)
    return base, leaf


async def bring(world: World, *, link: bool = False, name: str = "server") -> None:
    base, leaf = disks(world)
    await world.engine.importer.bring(
        Source(base if link else leaf), Settings(), reference=Reference(name), link=link, progress=lambda *_: None
    )


async def adopt(world: World) -> None:
    await world.engine.adopter.adopt(
        str(disks(world)[1].parent), reference=Reference("server"), link=False, progress=lambda *_: None
    )


async def flatten(world: World) -> None:
    await world.engine.reshaper.flatten("mine", reference=Reference("flat"), progress=lambda *_: None)


async def rebase(world: World) -> None:
    await world.engine.reshaper.rebase("mine", "debian:12", reference=Reference("moved"), progress=lambda *_: None)


async def mine_and_debian(world: World) -> None:
    await committed(world)
    await _only_debian_12(world)


SCENARIOS = [
    Scenario("create", lambda w: w.make("new", start=False)),
    Scenario("create-volumes", lambda w: w.make("new", start=False, mounts=(NAMED, UNNAMED))),
    Scenario("start-fresh", lambda w: w.engine.containers.start("box"), lambda w: w.make("box", start=False)),
    Scenario("start", lambda w: w.engine.containers.start("box"), stopped),
    Scenario("run-to-end", start_and_wait, exits, ends=True),
    Scenario("run-rm", start_and_wait, goes, ends=True, partly=("exited",)),
    Scenario("stop", lambda w: w.engine.containers.stop("box"), running),
    Scenario("stop-0", lambda w: w.engine.containers.stop("box", timeout=0), running),
    Scenario("kill", lambda w: w.engine.containers.kill("box"), running),
    Scenario("restart", lambda w: w.engine.containers.restart("box"), running, partly=("exited",)),
    Scenario("pause", lambda w: w.engine.containers.pause("box"), running),
    Scenario("rename", lambda w: w.engine.containers.rename("box", "crate"), running),
    Scenario("commit-stopped", lambda w: w.engine.containers.commit("box", reference=Reference("mine")), stopped),
    Scenario("commit-running", lambda w: w.engine.containers.commit("box", reference=Reference("mine")), running),
    Scenario("commit-again", lambda w: w.engine.containers.commit("box", reference=Reference("mine")), committed),
    Scenario("rm", lambda w: w.engine.containers.remove("box"), stopped),
    Scenario("rm-f", lambda w: w.engine.containers.remove("box", force=True), running, partly=("exited",)),
    Scenario(
        "rm-f-v",
        lambda w: w.engine.containers.remove("box", force=True, volumes=True),
        with_volumes,
        partly=("exited",),
    ),
    Scenario("rm-f-committed", lambda w: w.engine.containers.remove("box", force=True), committed, partly=("exited",)),
    Scenario("recreate-stopped", lambda w: w.engine.containers.recreate("box"), stopped),
    Scenario("recreate-running", lambda w: w.engine.containers.recreate("box"), with_volumes, partly=("created",)),
    Scenario("recreate-committed", lambda w: w.engine.containers.recreate("box"), committed, partly=("created",)),
    Scenario("image-make", lambda w: w.engine.images.make("debian", progress=lambda *_: None)),
    Scenario("image-make-again", lambda w: w.engine.images.make("nano", progress=lambda *_: None), running),
    Scenario("image-import", bring),
    Scenario("image-import-again", lambda w: bring(w, name="again"), bring),
    Scenario("image-import-link", lambda w: bring(w, link=True)),
    Scenario("adopt", adopt),
    Scenario("image-flatten", flatten, committed),
    Scenario("image-rebase", rebase, mine_and_debian),
    Scenario("tag", _tag),
    Scenario("rmi", lambda w: w.engine.images.remove("debian:12"), _only_debian_12),
    Scenario("rmi-committed", lambda w: w.engine.images.remove("mine"), _only_mine),
    Scenario("volume-create", lambda w: w.engine.volumes.create("disk")),
    Scenario("volume-rm", lambda w: w.engine.volumes.remove("disk"), made_volume),
    Scenario("export", export, committed),
    Scenario("export-tree", lambda w: export(w, tree=True), exported),
    Scenario("load", load, only_exported),
    Scenario("load-again", load, exported),
    Scenario("promote", promote, stopped),
    Scenario("promote-move", lambda w: promote(w, register="box", move=True), stopped),
    Scenario("compact", compact, bloated),
    Scenario("check", check, with_volumes),
    Scenario("cp-stopped", copy_in, stopped),
    Scenario("diff-stopped", lambda w: w.engine.containers.diff("box"), stopped),
]


async def prepared(make_world: MakeWorld, scenario: Scenario) -> World:
    world = await make_world()
    await world.make("web", kept="web")
    await scenario.before(world)
    await world.quiet()
    return world


async def box_has_ended(world: World) -> None:
    with contextlib.suppress(IrekoError):
        await world.engine.containers.wait("box")
    await world.quiet()
