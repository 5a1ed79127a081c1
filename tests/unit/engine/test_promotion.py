"""What goes wrong while a container becomes a machine: nothing half-made stays, and what is whole does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost
from ireko.engine.engine import Engine
from ireko.engine.promotion import Wish
from ireko.errors import AlreadyThere, Damaged, IrekoError, NoSpace
from ireko.model.container import ContainerSpec


class Failing:
    """Has the driver fail at the step that is named in `at`."""

    def __init__(self) -> None:
        self.at = ""

    def __call__(self, step: str) -> None:
        if step == self.at:
            raise NoSpace("there is no room for more", hint="ireko system df")


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def engine(base_root: Path, tmp_path: Path, failing: Failing) -> AsyncIterator[Engine]:
    """With a container "box" that has never run."""
    shutil.copytree(base_root, tmp_path / "root")
    opened = await Engine.open(root=tmp_path / "root", driver=FakeDriver(FakeHost(), fail=failing), recipes=FakeBook())
    await opened.containers.create(ContainerSpec(image="nano", command=("true",)), name="box")
    yield opened
    await opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def when(step: str, act: Callable[[], object]) -> Callable[[str, int | None, int | None], None]:
    """A progress that does something when a step begins."""

    def progress(said: str, done: int | None, total: int | None) -> None:
        if (said, done, total) == (step, None, None):
            act()

    return progress


async def failed(engine: Engine, wish: Wish, kind: type[IrekoError], progress: Callable[..., None]) -> IrekoError:
    with pytest.raises(kind) as caught:
        await engine.promoter.promote("box", wish, progress=progress)
    assert engine.containers.get("box").name == "box"
    assert not engine._context.database.operations
    return caught.value


def nothing(*_: object) -> None:
    pass


async def test_a_disk_that_is_not_what_was_written_is_deleted(engine: Engine, folder: Path) -> None:
    def spoil() -> None:
        (disk,) = folder.glob(".box.*.part/disk.raw")
        with disk.open("r+b") as file:
            file.seek(123456)
            file.write(b"!")

    wish = Wish(folder / "box", "raw", move=True)
    error = await failed(engine, wish, Damaged, when("reading it back", spoil))
    assert str(error).endswith("differs from the container's at byte 123456, so it was deleted")
    assert list(folder.iterdir()) == []


async def test_a_disk_that_is_cut_off(engine: Engine, folder: Path) -> None:
    def cut() -> None:
        (disk,) = folder.glob(".box.*.part/disk.raw")
        with disk.open("r+b") as file:
            file.truncate(1 << 20)

    await failed(engine, Wish(folder / "box", "raw"), Damaged, when("reading it back", cut))
    assert list(folder.iterdir()) == []


async def test_what_comes_in_between_stays(engine: Engine, folder: Path) -> None:
    def come() -> None:
        (folder / "box").mkdir()
        (folder / "box" / "mine").touch()

    error = await failed(engine, Wish(folder / "box"), AlreadyThere, when("reading it back", come))
    assert str(error) == f'there is something at "{folder / "box"}" already'
    assert [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))] == ["box", "box/mine"]


@pytest.mark.parametrize("step", ["writing the disk", "reading it back"])
async def test_cancelled(engine: Engine, folder: Path, step: str) -> None:
    def cancel() -> None:
        task.cancel()

    async def promote() -> None:
        await engine.promoter.promote("box", Wish(folder / "box", move=True), progress=when(step, cancel))

    task = asyncio.create_task(promote())
    await asyncio.wait([task])
    assert task.cancelled()
    assert list(folder.iterdir()) == []
    assert engine.containers.get("box").name == "box"
    assert not engine._context.database.operations


async def test_nothing_stays_when_its_description_can_t_be_written(
    engine: Engine, failing: Failing, folder: Path
) -> None:
    failing.at = "write_standalone.after"
    await failed(engine, Wish(folder / "box"), NoSpace, nothing)
    assert list(folder.iterdir()) == []


async def test_a_whole_machine_stays_when_it_can_t_be_registered(
    engine: Engine, failing: Failing, folder: Path
) -> None:
    failing.at = "register.before"
    error = await failed(engine, Wish(folder / "box", register="prod", move=True), NoSpace, nothing)
    wanted = f'the machine is whole in "{folder / "box"}", but not all is done: there is no room for more'
    assert (str(error), error.hint) == (wanted, "ireko system df")
    assert [path.name for path in folder.iterdir()] == ["box"]
    assert (folder / "box" / "disk.qcow2").exists()
