"""The fake driver."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from ireko.disk.base import NewLayer
from ireko.disk.formats import RAW
from ireko.drivers.base import (
    Abilities,
    Disks,
    Driver,
    Ended,
    ExistingMachine,
    Finding,
    HostReport,
    Level,
    Machine,
    MachineSpec,
    StandaloneSpec,
)
from ireko.drivers.fake import content, standalone, virtual
from ireko.drivers.fake.disks import FORMAT, FakeDisks, write_disk
from ireko.drivers.fake.host import FakeHost
from ireko.drivers.fake.lifeline import Lifeline
from ireko.drivers.fake.machine import FakeMachine
from ireko.errors import AlreadyThere, Unavailable, Unsupported

Fail = Callable[[str], Awaitable[None] | None]
_VERSION = "1"
_PATIENCE = 30.0  # seconds


class FakeDriver(Driver):
    """Machines that live in a `FakeHost`, which other drivers may share: there they are found again.

    `fail` is called with the name of each step, to make it fail there: `disks.create`, `disks.created`, `start.begin`,
    `start.done`, `find`, `switch_disk.before`, `switch_disk.after`, `request_power_off`, `power_off.before`,
    `power_off.after`, `format_volume.before`, `format_volume.after`, `write_standalone.before`, `write_standalone.after`,
    `register.before`, `register.after`. It may raise: after an Exception the driver undoes
    what it had begun, as the contract has it; a BaseException that is none leaves everything as it stands. What it returns
    is awaited (but for disks): what never ends is a daemon that stops there, to be followed by `die`.
    `patience` is how many seconds a guest that stands still is waited for.
    """

    def __init__(self, host: FakeHost, *, fail: Fail | None = None, patience: float = _PATIENCE) -> None:
        self._host = host
        self._fail = fail or (lambda step: None)
        self._patience = patience
        self._lifeline = Lifeline()
        self._disks = FakeDisks(self._step_at_once)
        self._machines: list[FakeMachine] = []
        self._open = False

    @property
    def abilities(self) -> Abilities:
        return Abilities(name="fake", disk_format=FORMAT, live_snapshot=True, pause=True, shared_folders=False)

    @property
    def disks(self) -> Disks:
        return self._disks

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        for machine in self._machines:
            await machine.close()
        self._machines.clear()

    async def report(self) -> HostReport:
        finding = Finding("fake", Level.OK, "machines are played by this process: nothing real runs")
        return HostReport(_VERSION, "fake", (finding,))

    async def start(self, spec: MachineSpec) -> Machine:
        await self._lifeline.check()
        if not self._open:
            raise Unavailable("the fake driver is not open")
        if spec.shares:
            raise Unsupported(f'folders can\'t be shared with "{spec.name}"')
        await self._step("start.begin")
        machine = self._host.start(spec)
        async with self._undone_by(lambda: self._host.undo(machine)):
            await self._step("start.done")
        return self._hold(machine)

    async def find(self, directory: Path) -> Machine | None:
        await self._lifeline.check()
        await self._step("find")
        machine = self._host.machines.get(directory)
        return self._hold(machine) if machine else None

    async def last_end(self, directory: Path) -> Ended:
        await self._lifeline.check()
        return virtual.last_end(directory)

    async def write_standalone(self, spec: StandaloneSpec, folder: Path) -> tuple[Path, ...]:
        await self._lifeline.check()
        await self._step("write_standalone.before")
        written = standalone.write(spec, folder)

        async def undo() -> None:
            for path in written:
                path.unlink()

        async with self._undone_by(undo):
            await self._step("write_standalone.after")
        return written

    async def check_register(self, spec: StandaloneSpec) -> None:
        await self._lifeline.check()
        if spec.name in self._host.registered:
            raise AlreadyThere(f'there is a machine "{spec.name}" already')

    async def register(self, spec: StandaloneSpec, folder: Path) -> None:
        await self.check_register(spec)
        await self._step("register.before")
        self._host.registered[spec.name] = folder

        async def undo() -> None:
            del self._host.registered[spec.name]

        async with self._undone_by(undo):
            await self._step("register.after")

    async def existing(self, written: str) -> ExistingMachine | None:
        await self._lifeline.check()
        path = self._host.registered.get(written, Path(written))
        return standalone.read(path) if path.is_absolute() else None

    async def format_volume(self, path: Path, capacity: int) -> None:
        await self._lifeline.check()
        if path.exists():
            raise AlreadyThere(f'the disk "{path}" is already there')
        await self._step("format_volume.before")
        write_disk(path, NewLayer(capacity), content.encode({}, capacity), format_name=RAW)

        async def undo() -> None:
            path.unlink()

        async with self._undone_by(undo):
            await self._step("format_volume.after")

    def die(self) -> None:
        """Be gone, as when the daemon is killed: machines go on, nothing asked of this driver gets an answer any more."""
        self._lifeline.cut()

    @contextlib.asynccontextmanager
    async def _undone_by(self, undo: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Undo what was done when the step that follows fails or is cancelled; the dead undo nothing."""
        try:
            yield
        except (Exception, asyncio.CancelledError):
            if not self._lifeline.is_cut:
                await undo()
            raise

    def _hold(self, machine: virtual.VirtualMachine) -> FakeMachine:
        held = FakeMachine(machine, lifeline=self._lifeline, step=self._step, patience=self._patience)
        self._machines = [*(each for each in self._machines if each.held), held]
        return held

    async def _step(self, name: str) -> None:
        if (pending := self._fail(name)) is not None:
            await pending
        await self._lifeline.check()

    def _step_at_once(self, name: str) -> None:
        pending = self._fail(name)
        if inspect.iscoroutine(pending):
            pending.close()
