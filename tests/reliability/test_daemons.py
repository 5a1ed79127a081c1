"""A daemon that starts: what it starts, what it finds, what it leaves alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ireko.drivers.base import Abilities
from ireko.drivers.fake import FakeBook, FakeDriver
from ireko.engine.engine import Engine
from ireko.errors import AlreadyThere, Conflict, IrekoError, TimedOut, Unsupported
from ireko.model.container import ContainerSpec, Mount, MountKind, RestartName, RestartPolicy, Status

from .world import World, names


async def killed_and_started(world: World, *, power_cut: bool = False) -> None:
    await world.abandon()
    if power_cut:
        await world.host.cut_power()
    assert await world.open()
    await world.quiet()
    await world.check()


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        (RestartName.NO, "cut off", "exited"),
        (RestartName.NO, "stopped", "exited"),
        (RestartName.ALWAYS, "cut off", "running"),
        (RestartName.ALWAYS, "stopped", "running"),
        (RestartName.ALWAYS, "created", "created"),
        (RestartName.UNLESS_STOPPED, "cut off", "running"),
        (RestartName.UNLESS_STOPPED, "stopped", "exited"),
        (RestartName.UNLESS_STOPPED, "killed", "exited"),
        (RestartName.UNLESS_STOPPED, "created", "created"),
        (RestartName.ON_FAILURE, "cut off", "running"),
        (RestartName.ON_FAILURE, "stopped", "exited"),
    ],
)
async def test_what_starts_with_the_daemon(world: World, policy: RestartName, before: str, after: str) -> None:
    await world.make("box", start=before != "created", restart=RestartPolicy(policy))
    if before == "stopped":
        await world.engine.containers.stop("box", timeout=0)
    elif before == "killed":
        await world.engine.containers.kill("box")
    await killed_and_started(world, power_cut=before == "cut off")
    assert world.seen().containers["box"][0] == after


async def test_a_manual_start_counts_again_for_unless_stopped(world: World) -> None:
    await world.make("box", restart=RestartPolicy(RestartName.UNLESS_STOPPED))
    await world.engine.containers.stop("box", timeout=0)
    await world.engine.containers.start("box")
    await killed_and_started(world, power_cut=True)
    assert world.seen().containers["box"][0] == "running"


async def test_one_that_goes_when_it_ends_is_gone_although_nobody_saw_it(world: World) -> None:
    await world.make("box", auto_remove=True, mounts=(Mount(MountKind.VOLUME, "", "/cache"),))
    await killed_and_started(world, power_cut=True)
    assert "box" not in world.seen().containers
    assert world.seen().unnamed_volumes == 0


async def test_an_end_that_nobody_saw_has_the_time_that_its_files_tell(world: World) -> None:
    container = await world.make("box", "sh", "-c", "echo done")
    await world.abandon()
    await world.host.machines[world.engine._context.paths.container(container)].ended
    past = datetime.now(UTC) - timedelta(hours=2)
    for path in world.engine._context.paths.container(container).iterdir():
        os.utime(path, (past.timestamp(), past.timestamp()))
    assert await world.open()
    found = world.engine.containers.get("box")
    assert found.exit_code == 0
    assert found.finished is not None
    assert abs(found.finished - past) < timedelta(seconds=1)


async def test_a_machine_that_does_not_answer_is_not_taken_for_gone(world: World) -> None:
    container = await world.make("box", kept="old")
    other = await world.make("other", kept="other")
    await world.abandon()
    deaf = True

    def fail(step: str) -> None:
        if step == "find" and deaf:
            raise TimedOut("QEMU did not answer")

    engine = await Engine.open(root=world.root, driver=FakeDriver(world.host, fail=fail), recipes=FakeBook())
    world.engine = engine
    for each in container, other:
        assert engine.containers.get(each).status is Status.RUNNING
        assert engine.containers.get(each).error == "QEMU did not answer"
    with pytest.raises(TimedOut):
        await engine.containers.remove("box", force=True)
    assert names(engine._context.paths.containers) == {container, other}
    deaf = False
    with pytest.raises(IrekoError, match="running already"):
        await engine.containers.start("box")
    assert await world.ask("box", "cat", "/kept") == "old\n"
    await engine.containers.remove("other", force=True)
    await world.check()
    await world.close()


async def test_what_can_not_be_read_is_never_thrown_away(world: World) -> None:
    broken = await world.make("box", kept="old", start=False, mounts=(Mount(MountKind.VOLUME, "data", "/data"),))
    await world.engine.containers.commit("box")  # the container alone stands on its layer
    await world.abandon()
    connection = sqlite3.connect(world.root / "ireko.db")
    connection.execute("UPDATE containers SET record = '{' WHERE name = 'box'")
    connection.commit()
    connection.close()
    before = set(world.root.rglob("disk.*"))
    assert await world.open()
    engine = world.engine
    assert [
        finding.name for finding in (await engine.system.report(layers=True)).findings if broken in finding.found
    ] == ["database"]
    with pytest.raises(AlreadyThere):
        await engine.containers.create(ContainerSpec(image="nano"), name="box")
    await world.make("other", start=False)
    await engine.containers.remove("other")
    assert set(world.root.rglob("disk.*")) == before
    assert not list(engine._context.paths.tmp.iterdir())


@pytest.mark.parametrize("lost", ["all", "disk.qcow2", "host_key", "client_key"])
async def test_a_power_cut_right_after_a_create(world: World, lost: str) -> None:
    """Nothing of a fresh container was on the disk yet but its record."""
    container = await world.make("box", start=False)
    await world.make("used", kept="old", start=False)
    await world.abandon()
    folder = world.engine._context.paths.container(container)
    if lost == "all":
        shutil.rmtree(folder)
    else:
        (folder / lost).write_bytes(b"")
    assert await world.open()
    await world.engine.containers.start("box")
    await world.engine.containers.start("used")
    assert await world.ask("used", "cat", "/kept") == "old\n"
    await world.check()


async def test_a_used_disk_that_is_lost_is_told_of(world: World) -> None:
    container = await world.make("box", kept="old", start=False)
    await world.abandon()
    world.engine._context.paths.container_disk(container).unlink()
    assert await world.open()
    with pytest.raises(IrekoError, match="is missing"):
        await world.engine.containers.start("box")


async def test_two_daemons_never_share_a_root(world: World) -> None:
    with pytest.raises(Conflict, match="another ireko daemon owns"):
        await Engine.open(root=world.root, driver=FakeDriver(world.host), recipes=FakeBook())
    assert await world.make("box", start=False)


async def test_a_daemon_that_can_not_start_lets_go_of_the_root(world: World) -> None:
    await world.abandon()
    (world.root / "tmp" / "left over").mkdir()

    def refuse(step: str) -> None:
        raise OSError(f"no: {step}")

    with pytest.raises(OSError, match="no: remove left over/"):
        await Engine.open(root=world.root, driver=FakeDriver(world.host), recipes=FakeBook(), step=refuse)
    assert await world.open()
    await world.check()


async def test_the_root_of_another_driver_is_refused(world: World) -> None:
    await world.close()

    class Other(FakeDriver):
        @property
        def abilities(self) -> Abilities:
            return replace(super().abilities, name="other", disk_format="vhdx")

    with pytest.raises(Unsupported, match='in the format "qcow2": the driver "other" works with "vhdx"'):
        await Engine.open(root=world.root, driver=Other(world.host), recipes=FakeBook())
    assert await world.open()
    await world.close()
