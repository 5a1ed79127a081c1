"""Things that happen at the same time, and things that are given up half-way."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from ireko.drivers.base import Command
from ireko.errors import Conflict, NotFound, NotModified
from ireko.model.container import ContainerSpec, Mount, MountKind, PortMapping, RestartName, RestartPolicy, Status
from ireko.model.names import Reference

from .world import World

STUBBORN = ("sh", "-c", "trap '' TERM; sleep 1000000; sleep 1000000")


async def soon(task: asyncio.Task[object]) -> None:
    """Let a task come as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)
    assert not task.done()


async def test_a_long_stop_can_be_cut_short(world: World) -> None:
    await world.make("box", *STUBBORN)
    await world.ask("box", "true")
    stop = asyncio.create_task(world.engine.containers.stop("box", timeout=-1))
    await soon(stop)
    await world.engine.containers.remove("box", force=True)
    await stop
    await world.check()


async def test_a_name_that_means_another_one_by_now(world: World) -> None:
    """Who waits for a name gets what it means when it is free."""
    old = await world.make("box")
    async with world.engine._context.locks(old):
        stop = asyncio.create_task(world.engine.containers.stop("box", timeout=0))
        await soon(stop)
        world.engine._context.update(old, name="other")
        fresh = await world.make("box")
    await stop
    assert world.engine.containers.get(fresh).status is Status.EXITED
    assert world.engine.containers.get(old).status is Status.RUNNING


async def test_recreating_twice_at_once(world: World) -> None:
    await world.make("box")
    done = await asyncio.gather(*(world.engine.containers.recreate("box") for _ in range(3)))
    assert len({each.id for each in done}) == 3
    assert [each.name for each in world.engine.containers.all()] == ["box"]
    await world.check()


async def test_who_waits_for_one_that_is_recreated_is_told_that_it_was_cut_off(world: World) -> None:
    await world.make("box")
    waiting = asyncio.create_task(world.engine.containers.wait("box"))
    await soon(waiting)
    await world.engine.containers.recreate("box")
    assert (await waiting).exit_code == 137


async def test_an_exec_runs_once(world: World) -> None:
    await world.make("box")
    exec_ = world.engine.execs.create("box", Command(("sleep", "1000")))
    done = await asyncio.gather(*(world.engine.execs.start(exec_.id) for _ in range(3)), return_exceptions=True)
    assert sorted(isinstance(each, Conflict) for each in done) == [False, True, True]


async def test_an_image_that_goes_while_a_container_is_made_of_it(world: World) -> None:
    await world.engine.images.make("debian", reference=Reference("debian"), progress=lambda *_: None)
    async with world.engine._context.locks("volume data"):
        spec = ContainerSpec(image="debian", mounts=(Mount(MountKind.VOLUME, "data", "/data"),))
        make = asyncio.create_task(world.engine.containers.create(spec, name="box"))
        await soon(make)
        await world.engine.images.remove("debian")
    with pytest.raises(NotFound):
        await make
    await world.check()
    assert not world.seen().volumes


async def test_a_kernel_is_not_swept_between_two_images_of_one_recipe(world: World) -> None:
    """The first image goes while the second, with the same kernel, is being made."""

    async def make() -> None:
        await world.engine.images.make("nano", reference=Reference("second"), progress=lambda *_: None)

    for _ in range(3):
        await asyncio.gather(make(), world.engine.images.remove("nano", force=True))
        await world.check()
        await world.engine.images.make("nano", progress=lambda *_: None)


async def test_one_that_goes_when_it_ends_goes_when_it_can_not_start(world: World) -> None:
    ports = (PortMapping(80, host_port=8080),)
    await world.make("web", ports=ports)
    await world.engine.containers.create(
        ContainerSpec(image="nano", ports=ports, auto_remove=True, mounts=(Mount(MountKind.VOLUME, "", "/cache"),)),
        name="box",
    )
    with pytest.raises(Conflict, match="port is already allocated"):
        await world.engine.containers.start("box")
    assert set(world.seen().containers) == {"web"}
    assert world.seen().unnamed_volumes == 0
    await world.check()


async def test_restarting_one_that_goes_when_it_ends_keeps_it(world: World) -> None:
    await world.make("box", auto_remove=True)
    await world.engine.containers.restart("box", timeout=0)
    await world.quiet()
    assert world.seen().containers["box"][0] == "running"


async def test_stopping_one_that_waits_for_its_restart(world: World) -> None:
    box = await world.make("box", "false", restart=RestartPolicy(RestartName.ALWAYS), start=False)
    world.engine._runs._delays[box] = 2.0  # time enough for all that follows
    await world.engine.containers.start("box")
    await world.engine.containers.wait("box", condition="next-exit")
    assert world.engine.containers.get("box").status is Status.RESTARTING
    with pytest.raises(Conflict, match="container is restarting"):
        await world.engine.containers.remove("box")
    waiting = asyncio.create_task(world.engine.containers.wait("box"))
    await soon(waiting)
    await world.engine.containers.stop("box")
    assert (await waiting).exit_code == 1
    await world.quiet()
    assert world.engine.containers.get("box").status is Status.EXITED
    with pytest.raises(NotModified):
        await world.engine.containers.stop("box")


@pytest.mark.parametrize("signal", [15, 9])
async def test_one_that_was_killed_by_hand_is_not_started_again(world: World, signal: int) -> None:
    await world.make("box", restart=RestartPolicy(RestartName.ALWAYS))
    await world.engine.containers.kill("box", signal=signal)
    await world.engine.containers.wait("box")
    assert world.engine.containers.get("box").status is Status.EXITED


async def test_files_are_reached_in_one_that_was_started_meanwhile(world: World) -> None:
    container = await world.make("box", kept="old", start=False)
    async with world.engine._context.locks(container):
        look = asyncio.create_task(world.engine.containers.stat("box", "/kept"))
        await soon(look)
        await world.engine._runs.start(world.engine.containers.get("box"))
    assert (await look).size == 4
    await world.check()


async def test_a_stream_of_files_that_nobody_reads_lets_go(world: World) -> None:
    await world.make("box", kept="old", start=False)
    _, pieces = await world.engine.containers.archive("box", "/kept")
    await pieces.aclose()  # type: ignore[attr-defined]
    await world.engine.containers.start("box")
    await world.check()


async def test_what_nobody_waits_for_any_more_is_forgotten(world: World) -> None:
    container = await world.make("box", start=False)
    attachment = await world.engine.containers.attach("box")
    tasks = [
        asyncio.create_task(attachment.write(b"x")),
        asyncio.create_task(world.engine.containers.wait("box", condition="next-exit")),
    ]
    for task in tasks:
        await soon(task)
        task.cancel()
    await asyncio.wait(tasks)
    runs = world.engine._runs
    assert (runs._starters, runs._waiters) == ({}, {})
    events = world.engine.events.stream()
    assert len(world.engine._context.events._listeners) == 1
    del events
    gc.collect()
    assert len(world.engine._context.events._listeners) == 0
    assert container


async def test_a_wait_that_was_registered_before_the_start(world: World) -> None:
    await world.make("box", "sh", "-c", "exit 4", start=False)
    waits = [
        asyncio.create_task(world.engine.containers.wait("box", condition=each)) for each in ("next-exit", "removed")
    ]
    assert (await world.engine.containers.wait("box")).exit_code == 0  # it does not run yet
    await world.engine.containers.start("box")
    assert (await waits[0]).exit_code == 4
    assert not waits[1].done()
    await world.engine.containers.remove("box")
    assert (await waits[1]).exit_code == 4


async def test_times_are_in_order(world: World) -> None:
    await world.make("box", "true")
    await world.engine.containers.wait("box", condition="next-exit")
    found = world.engine.containers.get("box")
    assert found.started is not None
    assert found.finished is not None
    assert found.created <= found.started <= found.finished
    assert found.finished.utcoffset() == timedelta(0)
    await world.engine.containers.start("box")
    again = world.engine.containers.get("box")
    assert again.finished is None or again.finished > found.finished


async def test_closing_while_everything_is_going_on(world: World) -> None:
    """Machines go on, and the next daemon finds them all."""
    for number in range(4):
        await world.make(f"box{number}", kept=str(number))
    await world.make("loop", "false", restart=RestartPolicy(RestartName.ALWAYS))
    work = [
        asyncio.create_task(world.engine.containers.commit("box0")),
        asyncio.create_task(world.engine.containers.restart("box1")),
        asyncio.create_task(world.engine.containers.recreate("box2")),
        asyncio.create_task(world.engine.containers.stop("box3", timeout=-1)),
    ]
    await asyncio.sleep(0)
    for task in work:
        task.cancel()
    await asyncio.wait(work)
    await world.engine.close()
    assert await world.open()
    await world.engine.containers.remove("loop", force=True)
    await world.quiet()
    await world.check()
    assert {"box0", "box1", "box2", "box3"} <= set(world.seen().containers)


async def test_the_engine_is_opened_and_closed_without_a_trace(world: World) -> None:
    await world.engine.close()
    tasks = asyncio.all_tasks()
    for _ in range(3):
        assert await world.open()
        await world.engine.close()
    assert asyncio.all_tasks() == tasks
    world.closed = True
