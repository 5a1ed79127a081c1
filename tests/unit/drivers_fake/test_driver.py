"""What the fake driver offers beyond the contract: failures at each step, the daemon's death, trouble, the system way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ireko.drivers.base import Command, Disk, Ended, MachineSpec, MachineState, Stdio, Stream, Trouble
from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost, FakeMachine
from ireko.drivers.fake.book import base_disk
from ireko.drivers.fake.disks import FORMAT
from ireko.drivers.fake.tree import Tree
from ireko.errors import Conflict, GuestFailed, IrekoError, NoSpace, NotFound, TimedOut
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Seed, SeedMount

SLEEP = ("sleep", "1000")


class Killed(BaseException):
    """The daemon ends here."""


@pytest.fixture
async def host() -> AsyncIterator[FakeHost]:
    host = FakeHost()
    yield host
    await host.cut_power()


@pytest.fixture
async def driver(host: FakeHost) -> FakeDriver:
    driver = FakeDriver(host)
    await driver.open()
    return driver


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base_disk(tmp_path / "base.qcow2")
    return tmp_path


def machine_spec(folder: Path, command: tuple[str, ...] = SLEEP, *, mounts: tuple[SeedMount, ...] = ()) -> MachineSpec:
    """A machine on a fresh layer; without a command, a system."""
    directory = folder / "box"
    directory.mkdir()
    disk = directory / "disk.qcow2"
    FakeDriver(FakeHost()).disks.create(disk, parent=folder / "base.qcow2", capacity=1 << 30)
    main = Main(command) if command else None
    seed = Seed("box", "0" * 32, Identity.create(), "pipes", main, mounts=mounts)
    (directory / "seed.tar").write_bytes(seed.archive())
    return MachineSpec(
        id="id",
        name="box",
        directory=directory,
        cpus=1,
        memory=1 << 28,
        disks=(
            Disk("root", disk, FORMAT),
            Disk("seed", directory / "seed.tar", "raw", read_only=True),
            *(Disk(each.tag, folder / f"{each.tag}.raw", "raw") for each in mounts if each.tag != "vol-7"),
        ),
        stdio=Stdio.PIPES if command else Stdio.CONSOLE,
    )


def names(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def failing(step: str, error: BaseException) -> FakeDriver:
    def fail(name: str) -> None:
        if name == step:
            raise error

    return FakeDriver(FakeHost(), fail=fail)


@pytest.mark.parametrize("step", ["disks.create", "disks.created"])
def test_a_disk_that_fails_is_not_there(folder: Path, step: str) -> None:
    before = names(folder)
    with pytest.raises(NoSpace):
        failing(step, NoSpace("full")).disks.create(folder / "new.qcow2", parent=None, capacity=1)
    assert names(folder) == before


def test_a_disk_made_before_the_daemon_died_is_there(folder: Path) -> None:
    with pytest.raises(Killed):
        failing("disks.created", Killed()).disks.create(folder / "new.qcow2", parent=None, capacity=1)
    assert (folder / "new.qcow2").exists()


@pytest.mark.parametrize("step", ["start.begin", "start.done"])
async def test_a_start_that_fails_leaves_nothing(folder: Path, step: str) -> None:
    spec = machine_spec(folder)
    before = names(folder)
    driver = failing(step, IrekoError("no"))
    await driver.open()
    with pytest.raises(IrekoError, match="no"):
        await driver.start(spec)
    assert names(folder) == before
    assert await driver.find(spec.directory) is None


async def test_a_start_that_is_cancelled_leaves_nothing(folder: Path, host: FakeHost) -> None:
    reached = asyncio.Event()

    async def fail(step: str) -> None:
        if step == "start.done":
            reached.set()
            await asyncio.get_running_loop().create_future()

    driver = FakeDriver(host, fail=fail)
    await driver.open()
    spec = machine_spec(folder)
    before = names(folder)
    starting = asyncio.create_task(driver.start(spec))
    await reached.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert names(folder) == before
    assert not host.machines


async def test_a_daemon_that_stops_in_a_start_leaves_a_machine(folder: Path, host: FakeHost) -> None:
    stopped = asyncio.Event()

    async def fail(step: str) -> None:
        if step == "start.done":
            stopped.set()
            await asyncio.get_running_loop().create_future()

    first = FakeDriver(host, fail=fail)
    await first.open()
    spec = machine_spec(folder)
    starting = asyncio.create_task(first.start(spec))
    await stopped.wait()
    first.die()
    found = await FakeDriver(host).find(spec.directory)
    assert found is not None
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await found.state() is MachineState.RUNNING


async def test_a_dead_driver_answers_no_more_and_its_machines_go_on(
    folder: Path, driver: FakeDriver, host: FakeHost
) -> None:
    machine = await driver.start(machine_spec(folder))
    grown: list[int] = []
    machine.watch_outputs(lambda: grown.append(1))
    program = await machine.guest.run(Command(("cat",)))
    ended = asyncio.create_task(machine.ended())
    driver.die()
    asking = [asyncio.create_task(each) for each in (machine.state(), machine.guest.sync(), driver.find(folder))]
    second = await FakeDriver(host).find(folder / "box")
    assert second is not None
    await second.guest.signal(15)
    assert await second.ended() == Ended(143, clean=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not ended.done()
    assert not any(task.done() for task in asking)
    assert not grown
    await program.close()
    for task in (ended, *asking):
        task.cancel()


async def test_switching_fails_before_or_after(folder: Path) -> None:
    spec = machine_spec(folder)
    for step, switched in (("switch_disk.before", False), ("switch_disk.after", True)):
        driver = failing(step, IrekoError("no"))
        await driver.open()
        machine = await driver.start(spec)
        leaf = folder / "box" / f"{step}.qcow2"
        driver.disks.create(leaf, parent=spec.disks[0].path, capacity=1)
        with pytest.raises(IrekoError, match="no"):
            await machine.switch_disk("root", leaf, spec.disks[0].path)
        assert (await machine.active_disk("root") == leaf) is switched
        await machine.power_off()


async def test_trouble_is_told_and_pauses(folder: Path, driver: FakeDriver) -> None:
    machine = await driver.start(machine_spec(folder))
    assert isinstance(machine, FakeMachine)
    met: list[Trouble] = []
    stop = machine.watch_trouble(met.append)
    trouble = Trouble("the host's disk is full", paused=True)
    machine.meet(trouble)
    assert met == [trouble]
    assert await machine.state() is MachineState.PAUSED
    stop()
    machine.meet(trouble)
    assert met == [trouble]


async def test_a_paused_guest_is_not_waited_for_for_ever(folder: Path, host: FakeHost) -> None:
    driver = FakeDriver(host, patience=0)
    await driver.open()
    machine = await driver.start(machine_spec(folder))
    await machine.pause()
    with pytest.raises(TimedOut, match="box"):
        await machine.guest.run(Command(("true",)))


async def test_a_program_cut_off_with_its_guest(folder: Path, driver: FakeDriver) -> None:
    machine = await driver.start(machine_spec(folder))
    program = await machine.guest.run(Command(("sleep", "1000")))
    await machine.power_off()
    with pytest.raises(GuestFailed):
        await program.wait()
    with pytest.raises(GuestFailed):
        await program.write(b"x")
    await program.close()


async def console(machine: FakeMachine, wanted: str) -> str:
    grown = asyncio.Event()
    machine.watch_outputs(grown.set)
    [(stream, path)] = machine.outputs
    assert stream is Stream.STDOUT
    while wanted not in (text := path.read_bytes().decode()):
        await grown.wait()
        grown.clear()
    return text


@pytest.mark.parametrize("ask", ["poweroff", "button"])
async def test_a_system_has_a_console_and_powers_off(folder: Path, driver: FakeDriver, ask: str) -> None:
    machine = await driver.start(machine_spec(folder, ()))
    assert isinstance(machine, FakeMachine)
    await console(machine, "Welcome to box!\r\n# ")
    await machine.write_terminal(b"whoami; exit\r")
    await console(machine, "root\r\n# ")
    await machine.guest.resize(50, 120)
    await machine.write_terminal(b"stty size\r")
    await console(machine, "50 120\r\n# ")
    if ask == "poweroff":
        await machine.write_terminal(b"poweroff\r")
    else:
        await machine.request_power_off()
    assert await machine.ended() == Ended(None, clean=True)


async def test_volumes_outlive_machines(folder: Path, driver: FakeDriver) -> None:
    await driver.format_volume(folder / "vol-0.raw", 1 << 30)
    spec = machine_spec(folder, ("sh", "-c", "cat /data/n; echo x >> /data/n"), mounts=(SeedMount("vol-0", "/data"),))
    for _ in range(3):
        machine = await driver.start(spec)
        assert (await machine.ended()).clean
    assert (folder / "box" / "stdout.log").read_text() == "x\n" + "x\nx\n"
    assert Tree(folder / "vol-0.raw").get("/n").data == b"x\n" * 3
    assert (folder / "vol-0.raw").stat().st_size == 1 << 30


async def test_a_seed_that_asks_for_a_disk_that_is_not_there(folder: Path, driver: FakeDriver) -> None:
    machine = await driver.start(machine_spec(folder, mounts=(SeedMount("vol-7", "/data"),)))
    assert (await machine.ended()).exit_code is None
    assert "vol-7" in (await machine.ended()).reason


async def test_a_port_is_named_when_it_is_taken(host: FakeHost, driver: FakeDriver, folder: Path) -> None:
    from ireko.model.container import PortMapping

    first = host.take_ports([PortMapping(80), PortMapping(80), PortMapping(80, host_port=8080)])
    assert len({port.host_port for port in first}) == 3
    with pytest.raises(Conflict, match="8080"):
        host.take_ports([PortMapping(80, host_port=8080), PortMapping(81, host_ip="127.0.0.1", host_port=8080)])
    both = [PortMapping(80, host_ip=f"127.0.0.{n}", host_port=8080) for n in (1, 2)]
    assert host.take_ports(both) == tuple(both)


async def test_the_book_makes_images_that_run(tmp_path: Path) -> None:
    book = FakeBook()
    for summary in book.summaries():
        built = await book.build(summary.name, None, workdir=tmp_path, cache=tmp_path, progress=lambda *_: None)
        assert built.references == summary.references
        assert FakeDriver(FakeHost()).disks.capacity(built.disk) > 0
    with pytest.raises(NotFound, match="stranger"):
        await book.build("stranger", None, workdir=tmp_path, cache=tmp_path, progress=lambda *_: None)
