"""A disk that is really full: each verb says so, nothing is lost, and with some room everything goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ireko.engine.exporting import Target
from ireko.engine.promotion import Wish
from ireko.errors import NoSpace
from ireko.model.container import Mount, MountKind
from ireko.model.names import Reference

from .scenarios import bring, disks
from .world import World

pytestmark = pytest.mark.root
SIZE = "8m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "ireko-test", folder], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


class Ballast:
    """Fills a disk to the last byte."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> None:
        with pytest.raises(OSError), self._path.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * (1 << 16 if shutil.disk_usage(self._path.parent).free > 1 << 17 else 512))

    def remove(self) -> None:
        self._path.unlink()


@pytest.fixture
async def full(small_disk: Path, base_root: Path) -> AsyncIterator[tuple[World, Ballast]]:
    shutil.copytree(base_root, small_disk / "root")
    world = World(small_disk / "root")
    assert await world.open()
    await world.make("box", kept="old")
    await world.make("idle", kept="idle", start=False)
    await world.make("fresh", start=False)
    await world.engine.containers.commit("idle", reference=Reference("twice"))
    disks(world)
    yield world, Ballast(small_disk)
    if not world.closed:
        await world.abandon()
    await world.host.cut_power()


def quiet(step: str, done: int | None, total: int | None) -> None:
    """Nobody looks."""


VERBS: dict[str, Callable[[World], Awaitable[object]]] = {
    "create": lambda w: w.make("new", start=False),
    "create-volume": lambda w: w.make("new", start=False, mounts=(Mount(MountKind.VOLUME, "data", "/data"),)),
    "start": lambda w: w.engine.containers.start("fresh"),
    "commit-running": lambda w: w.engine.containers.commit("box", reference=Reference("mine")),
    "commit-stopped": lambda w: w.engine.containers.commit("idle", reference=Reference("mine")),
    "recreate": lambda w: w.engine.containers.recreate("box"),
    "volume-create": lambda w: w.engine.volumes.create("data"),
    "image-import": bring,
    "image-import-link": lambda w: bring(w, link=True),
    "image-flatten": lambda w: w.engine.reshaper.flatten("twice", reference=Reference("flat"), progress=quiet),
    "image-export": lambda w: w.engine.exporter.disk("nano", Target(w.root.parent / "nano.vhdx"), progress=quiet),
    "image-export-tree": lambda w: w.engine.exporter.tree(
        ["twice"], Target(w.root.parent / "twice.tar"), progress=quiet
    ),
    "promote": lambda w: w.engine.promoter.promote("idle", Wish(w.root.parent / "machine"), progress=quiet),
    "image-make": lambda w: w.engine.images.make("debian", progress=lambda *_: None),
    "diff": lambda w: w.engine.containers.diff("idle"),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_nothing_is_lost(full: tuple[World, Ballast], verb: str) -> None:
    world, ballast = full
    before = world.seen()
    ballast.fill()
    with pytest.raises(NoSpace, match=r"no room|is full") as caught:
        await VERBS[verb](world)
    assert caught.value.hint
    assert world.seen() == before
    await world.check()
    ballast.remove()
    await VERBS[verb](world)
    await world.check()
    await world.close()


async def test_room_can_be_made_on_a_full_disk(full: tuple[World, Ballast]) -> None:
    """Deleting needs no room of its own."""
    world, ballast = full
    await world.engine.images.make("debian", progress=lambda *_: None)
    ballast.fill()
    await world.engine.containers.remove("box", force=True)
    await world.engine.containers.remove("idle")
    await world.engine.containers.remove("fresh")
    await world.engine.images.remove("debian")
    await world.engine.images.remove("debian:12")
    assert not world.seen().containers
    assert world.seen().tags == {"nano:latest", "twice:latest"}
    await world.check()
    await world.close()


async def test_a_daemon_starts_on_a_full_disk(full: tuple[World, Ballast]) -> None:
    world, ballast = full
    ballast.fill()
    await world.abandon()
    assert await world.open()
    assert await world.ask("box", "cat", "/kept") == "old\n"
    await world.check()
    await world.close()


async def test_what_ends_on_a_full_disk_is_known(full: tuple[World, Ballast]) -> None:
    world, ballast = full
    ballast.fill()
    await world.engine.containers.kill("box")
    assert world.seen().containers["box"][:2] == ("exited", 128)
    await world.check()
    ballast.remove()
    await world.engine.containers.start("box")
    assert await world.ask("box", "cat", "/kept") == "old\n"
    await world.check()
    await world.close()
