"""A driver's hold of one machine."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from ireko.drivers.base import Ended, Guest, Machine, MachineState, Stream, Trouble, Usage
from ireko.drivers.fake.guest import FakeGuest
from ireko.drivers.fake.lifeline import Lifeline
from ireko.drivers.fake.tree import Tree
from ireko.drivers.fake.virtual import VirtualMachine, output_files
from ireko.errors import Conflict, Damaged, ProgramFailed
from ireko.model.container import PortMapping

_Callback = TypeVar("_Callback", bound=Callable[..., Any])
_STEP_TIME = 20_000  # nanoseconds of processor time that one step of a program counts for
_SYSTEM_MEMORY, _PROCESS_MEMORY = 24 << 20, 1 << 20  # bytes


class FakeMachine(Machine):
    """A machine that runs, until it is seen to end."""

    def __init__(
        self,
        virtual: VirtualMachine,
        *,
        lifeline: Lifeline,
        step: Callable[[str], Awaitable[None]],
        patience: float,
    ) -> None:
        self._virtual = virtual
        self._lifeline = lifeline
        self._step = step
        self._guest = FakeGuest(virtual, lifeline, patience=patience)
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._stops: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        virtual.ended.add_done_callback(self._heard_end)
        self._stops.append(lifeline.when_cut(self._let_go))

    @property
    def held(self) -> bool:
        """Whether it runs, as far as was seen, and was not let go of."""
        return not self._ended.done()

    @property
    def id(self) -> str:
        return self._virtual.spec.id

    @property
    def guest(self) -> Guest:
        return self._guest

    @property
    def outputs(self) -> tuple[tuple[Stream, Path], ...]:
        return output_files(self._virtual.spec)

    @property
    def ports(self) -> tuple[PortMapping, ...]:
        return self._virtual.ports

    @property
    def pid(self) -> int:
        return self._virtual.pid

    async def state(self) -> MachineState:
        await self._check_runs()
        return MachineState.PAUSED if self._virtual.paused else MachineState.RUNNING

    async def ended(self) -> Ended:
        return await asyncio.shield(self._ended)

    def watch_outputs(self, changed: Callable[[], None]) -> Callable[[], None]:
        return self._watch(self._virtual.output_watchers, changed)

    def watch_trouble(self, met: Callable[[Trouble], None]) -> Callable[[], None]:
        return self._watch(self._virtual.trouble_watchers, met)

    async def write_terminal(self, data: bytes) -> None:
        await self._check_runs()
        await self._virtual.up.wait()
        if self._virtual.terminal is None:
            raise Conflict(f'"{self._virtual.spec.name}" has no terminal')
        await self._virtual.terminal.type(data)

    async def request_power_off(self) -> None:
        await self._check_runs()
        await self._step("request_power_off")
        task = asyncio.create_task(self._virtual.request_power_off())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def power_off(self) -> None:
        await self._lifeline.check()
        await self._step("power_off.before")
        await self._virtual.cut()
        await self._step("power_off.after")

    async def pause(self) -> None:
        await self._check_runs()
        self._virtual.pause()

    async def resume(self) -> None:
        await self._check_runs()
        self._virtual.resume()

    async def switch_disk(self, serial: str, leaf: Path, parent: Path) -> None:
        del parent  # the leaf has it
        await self._check_runs()
        await self._step("switch_disk.before")
        tree = self._disk(serial)
        try:
            tree.switch(leaf)
        except Damaged as error:
            raise ProgramFailed(error.message, exit_code=1) from error
        await self._step("switch_disk.after")

    async def active_disk(self, serial: str) -> Path:
        await self._check_runs()
        return self._disk(serial).path

    async def usage(self) -> Usage:
        await self._check_runs()
        system, trees = self._virtual.system, self._virtual.disks.values()
        count = len(system.processes) + 1
        return Usage(
            processor=(system.steps + 1) * _STEP_TIME,
            memory=min(_SYSTEM_MEMORY + count * _PROCESS_MEMORY, self._virtual.spec.memory),
            memory_limit=self._virtual.spec.memory,
            processes=count,
            disk_read=sum(tree.bytes_read for tree in trees),
            disk_written=sum(tree.bytes_written for tree in trees),
            network_received=0,
            network_sent=0,
        )

    async def close(self) -> None:
        self._let_go()
        if not self._ended.done():
            self._ended.cancel()

    def meet(self, trouble: Trouble) -> None:
        """Let the machine meet trouble, for tests."""
        self._virtual.meet(trouble)

    def _heard_end(self, future: asyncio.Future[Ended]) -> None:
        if not self._ended.done() and not future.cancelled():
            self._ended.set_result(future.result())

    def _watch(self, watchers: list[_Callback], callback: _Callback) -> Callable[[], None]:
        watchers.append(callback)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                watchers.remove(callback)

        self._stops.append(stop)
        return stop

    def _let_go(self) -> None:
        self._virtual.ended.remove_done_callback(self._heard_end)
        for stop in self._stops:
            stop()

    async def _check_runs(self) -> None:
        await self._lifeline.check()
        if self._virtual.system.off:
            raise Conflict(f'the machine of "{self._virtual.spec.name}" is not running')

    def _disk(self, serial: str) -> Tree:
        try:
            return self._virtual.disks[serial]
        except KeyError:
            raise Conflict(f'"{self._virtual.spec.name}" has no disk "{serial}"') from None
