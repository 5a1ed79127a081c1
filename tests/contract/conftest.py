"""The drivers that the contract is tested with, and a bench to test them on."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conftest import command_lines

from ireko.drivers.base import Command, Disk, Driver, Ended, Machine, MachineSpec, Stdio, Stream
from ireko.drivers.fake import FakeDriver, FakeHost
from ireko.drivers.fake.book import base_disk
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Seed
from ireko.model.container import PortMapping
from ireko.model.image import GIB, MIB

DRIVERS = [
    pytest.param("fake", id="fake"),
    pytest.param("qemu", id="qemu", marks=[pytest.mark.qemu, pytest.mark.timeout(600)]),
]


@dataclass(frozen=True)
class Result:
    """What a program in a guest did."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass
class Bench:
    """A driver, a base image, and a folder for machines. `processes` counts what the driver runs for a machine."""

    driver: Driver
    folder: Path
    base: Path
    make_driver: Callable[[], Driver]
    processes: Callable[[MachineSpec], int]
    many: int
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    started: list[Path] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def suffix(self) -> str:
        return self.driver.abilities.disk_format

    def disk(self, path: Path, parent: Path | None = None) -> Path:
        """A fresh layer on the base image or on another layer."""
        self.driver.disks.create(path, parent=parent or self.base, capacity=GIB)
        return path

    def spec(
        self,
        *argv: str,
        stdio: Stdio = Stdio.PIPES,
        disk: Path | None = None,
        ports: tuple[PortMapping, ...] = (),
        environment: tuple[str, ...] = (),
        workdir: str = "",
        user: str = "",
    ) -> MachineSpec:
        """A machine that runs a command, on a fresh layer unless it is given another disk."""
        name = f"box{next(self._numbers)}"
        directory = self.folder / name
        directory.mkdir(mode=0o700)
        identity = Identity.create()
        identity.save(directory)
        main = Main(argv, environment, workdir, user)
        seed = Seed(name, "0" * 32, identity, stdio.value, main)
        (directory / "seed.tar").write_bytes(seed.archive())
        return MachineSpec(
            id=secrets.token_hex(32),
            name=name,
            directory=directory,
            cpus=1,
            memory=256 * MIB,
            disks=(
                Disk("root", disk or self.disk(directory / f"disk.{self.suffix}"), self.suffix),
                Disk("seed", directory / "seed.tar", "raw", read_only=True),
            ),
            stdio=stdio,
            kernel=self.kernel,
            initrd=self.initrd,
            append=self.append,
            ports=ports,
        )

    async def start(self, spec: MachineSpec) -> Machine:
        """Start a machine that is ended with the test."""
        self.started.append(spec.directory)
        return await self.driver.start(spec)

    async def run(self, *argv: str, disk: Path | None = None) -> tuple[Ended, str]:
        """Run a machine to its end: how it ended and what it wrote to its standard output."""
        spec = self.spec(*argv, disk=disk)
        machine = await self.start(spec)
        ended = await machine.ended()
        return ended, (spec.directory / "stdout.log").read_text()

    async def reopen(self) -> None:
        """As a new daemon: the old driver lets go of everything, another takes its place."""
        await self.driver.close()
        self.driver = self.make_driver()
        await self.driver.open()

    async def found(self, spec: MachineSpec) -> Machine:
        """The machine, found by its folder."""
        machine = await self.driver.find(spec.directory)
        assert machine is not None
        return machine

    async def seen(self, machine: Machine, wanted: str, stream: Stream = Stream.STDOUT) -> str:
        """Wait until the machine's output has a text; all of that output."""
        return await self.matched(machine, re.escape(wanted), stream)

    async def matched(self, machine: Machine, pattern: str, stream: Stream = Stream.STDOUT) -> str:
        """Wait until the machine's output has something that a regular expression finds; all of that output."""
        path = dict(machine.outputs)[stream]
        grown = asyncio.Event()
        stop = machine.watch_outputs(grown.set)
        try:
            while not re.search(pattern, text := path.read_bytes().decode(errors="replace")):
                await grown.wait()
                grown.clear()
            return text
        finally:
            stop()

    async def run_in(self, machine: Machine, command: Command, data: bytes = b"") -> Result:
        """Run a program in a guest to its end."""
        process = await machine.guest.run(command)
        pieces: list[tuple[Stream, bytes]] = []

        async def read() -> None:
            pieces.extend([piece async for piece in process.output()])

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            if data:
                await process.write(data)
            await process.close_input()
        code = await process.wait()
        await process.close()
        stdout, stderr = (b"".join(data for side, data in pieces if side is wanted) for wanted in Stream)
        return Result(code, stdout, stderr)

    def contents(self, folder: Path) -> dict[str, str]:
        """Every file of a folder, with a digest of what is in it."""
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(folder.rglob("*"))
        }


@pytest.fixture(params=DRIVERS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """One driver, for one test."""
    async for made in benches(request, tmp_path):
        yield made


@pytest_asyncio.fixture(params=DRIVERS, scope="module", loop_scope="module")
async def shared_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Bench, Machine]]:
    """One driver with a machine that runs, for a module of tests."""
    async for made in benches(request, tmp_path_factory.mktemp("shared")):
        yield made, await made.start(made.spec("sleep", "1000000"))


async def benches(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Bench]:
    """Make a bench, and clear it away."""
    made = _fake(folder) if request.param == "fake" else _qemu(request, folder)
    await made.driver.open()
    try:
        yield made
    finally:
        for directory in made.started:
            if machine := await made.driver.find(directory):
                await machine.power_off()
                await machine.close()
        await made.driver.close()


def _fake(folder: Path) -> Bench:
    host = FakeHost()
    return Bench(
        driver=FakeDriver(host),
        folder=folder,
        base=base_disk(folder / "base.qcow2"),
        make_driver=lambda: FakeDriver(host),
        processes=lambda spec: int(spec.directory in host.machines),
        many=40,
    )


def _qemu(request: pytest.FixtureRequest, folder: Path) -> Bench:
    from ireko.drivers.qemu import QemuDriver

    image = request.getfixturevalue("nano_image")
    state = request.getfixturevalue("test_cache") / "state"

    def make() -> Driver:
        return QemuDriver(state)

    return Bench(
        driver=make(),
        folder=folder,
        base=image.disk,
        make_driver=make,
        processes=_processes,
        many=3,
        kernel=image.kernel,
        initrd=image.initrd,
        append=image.append,
    )


def _processes(spec: MachineSpec) -> int:
    """How many processes have the machine's id among their arguments."""
    return sum(spec.id in line for line in command_lines().values())
