"""One machine: a QEMU process, its monitor, and the way into its guest."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from ireko.drivers.base import Ended, Guest, Machine, MachineState, Stdio, Stream, Trouble, Usage
from ireko.drivers.qemu import command, ending, files, shares
from ireko.drivers.qemu.guest import QemuGuest
from ireko.drivers.qemu.monitor import Event, Monitor
from ireko.drivers.qemu.output import OutputWatcher
from ireko.drivers.qemu.process import Process
from ireko.drivers.qemu.terminal import Terminal
from ireko.drivers.qemu.usage import GuestUsage, of_disks, of_guest, of_process
from ireko.errors import Conflict, IrekoError
from ireko.guest import scripts
from ireko.guest.channel import Channel
from ireko.model.container import PortMapping

_log = logging.getLogger(__name__)
_LAST_MOMENT = 20.0  # seconds for QEMU to close its disks, on a host that may be busy writing, before it is killed
_COUNTERS_WAIT = 2.0  # seconds
_LAST_WORDS = 2000  # characters


@dataclass(frozen=True)
class Record:
    """What we must know of a machine to get hold of it again; written to its folder when it starts."""

    id: str
    name: str
    stdio: Stdio
    memory: int
    ports: tuple[PortMapping, ...]
    agent: bool = True
    """Whether ireko's agent is in the guest: it is in the initrd, so not where firmware boots the disk."""

    def save(self, directory: Path) -> None:
        """Write it. Raises OSError."""
        path = directory / files.RECORD
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def load(cls, directory: Path) -> Record | None:
        """What `save` wrote; None when there is nothing that makes sense."""
        try:
            return msgspec.json.decode((directory / files.RECORD).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError):
            return None


class QemuMachine(Machine):
    """A machine that runs, until it is seen to end."""

    def __init__(
        self,
        record: Record,
        *,
        directory: Path,
        process: Process,
        outputs: OutputWatcher,
        servers: tuple[Process, ...] = (),
    ) -> None:
        self._servers = servers
        self._record = record
        self._directory = directory
        self._process = process
        self._watcher = outputs
        self._monitor: Monitor | None = None
        self._met: list[Callable[[Trouble], None]] = []
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._terminal = Terminal(directory / files.TERMINAL, record.name)
        self._channel = Channel(
            name=record.name,
            dial=lambda: files.connect(directory / files.CHANNEL),
            keys=directory,
            last_words=self._said,
        )
        if not record.agent:
            self._channel.end(
                f'the guest "{record.name}" boots from its own disk, so there is no agent of ireko in it: '
                "attach to its console, or reach it over its network"
            )
        self._guest = QemuGuest(
            self._channel,
            name=record.name,
            stdio=record.stdio,
            is_up=lambda: ending.has_event(directory, "ready"),
        )

    def attach(self, monitor: Monitor) -> None:
        """Give it its monitor, and begin to watch for its end."""
        self._monitor = monitor
        self._begin(self._watch_end())

    @property
    def held(self) -> bool:
        """Whether it runs, as far as was seen, and was not let go of."""
        return not self._ended.done()

    @property
    def id(self) -> str:
        return self._record.id

    @property
    def guest(self) -> Guest:
        return self._guest

    @property
    def outputs(self) -> tuple[tuple[Stream, Path], ...]:
        return files.outputs(self._directory, self._record.stdio)

    @property
    def ports(self) -> tuple[PortMapping, ...]:
        return self._record.ports

    @property
    def pid(self) -> int:
        return self._process.pid

    async def state(self) -> MachineState:
        answer = cast("dict[str, object]", await self._ask("query-status"))
        return MachineState.RUNNING if answer["running"] else MachineState.PAUSED

    async def ended(self) -> Ended:
        return await asyncio.shield(self._ended)

    def watch_outputs(self, changed: Callable[[], None]) -> Callable[[], None]:
        return self._watcher.watch((path for _, path in self.outputs), changed)

    def watch_trouble(self, met: Callable[[Trouble], None]) -> Callable[[], None]:
        self._met.append(met)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._met.remove(met)

        return stop

    async def write_terminal(self, data: bytes) -> None:
        await self._terminal.write(data)

    async def request_power_off(self) -> None:
        if self._record.stdio is Stdio.CONSOLE:
            # a system that has only begun to start misses the button, one without our agent knows nothing else
            await self._ask("system_powerdown")
        self._begin(self._shut_down())

    async def power_off(self) -> None:
        if not self._process.ended:
            quitting = self._begin(self._quit())
            await self._process.wait_or_kill(_LAST_MOMENT)
            await asyncio.wait([quitting])
        await self.ended()

    async def pause(self) -> None:
        await self._ask("stop")

    async def resume(self) -> None:
        await self._ask("cont")

    async def switch_disk(self, serial: str, leaf: Path, parent: Path) -> None:
        del parent  # the leaf's header has it; QEMU has the parent open already
        present = await self._active_node(serial)
        generation = int(present.rpartition(".")[2]) + 1
        added: list[str] = []
        try:
            for node in command.switched_disk(serial, leaf, disk_format="qcow2", generation=generation):
                await self._ask("blockdev-add", node)
                added.append(str(node["node-name"]))
            await self._ask("blockdev-snapshot", {"node": present, "overlay": command.node(serial, generation)})
        except BaseException:
            await self._remove_nodes(reversed(added))
            raise

    async def active_disk(self, serial: str) -> Path:
        below = command.file_node(await self._active_node(serial))
        for node in cast("list[dict[str, object]]", await self._ask("query-named-block-nodes", {"flat": True})):
            if node["node-name"] == below:
                return Path(str(node["file"]))
        raise Conflict(f'QEMU has no file for the disk "{serial}" of "{self._record.name}"')

    async def usage(self) -> Usage:
        disks = cast("list[dict[str, object]]", await self._ask("query-blockstats"))
        guest = await self._guest_usage()
        try:
            process = of_process(self.pid)
        except OSError as error:
            raise self._not_running() from error
        read, written = of_disks(disks)
        return Usage(
            processor=process.processor,
            memory=guest.memory or process.memory,
            memory_limit=self._record.memory,
            processes=guest.processes,
            disk_read=read,
            disk_written=written,
            network_received=guest.received,
            network_sent=guest.sent,
        )

    async def close(self) -> None:
        if not self._ended.done():
            self._ended.cancel()
            for task in tuple(self._tasks):
                task.cancel()
        if self._tasks:  # of a machine that was seen to end: what tidies up after it comes to its end
            await asyncio.wait(tuple(self._tasks))
        await self._hang_up()

    def heard(self, event: Event) -> None:
        """Take an event of the monitor."""
        if event["event"] != "BLOCK_IO_ERROR":
            return
        data = cast("Mapping[str, object]", event["data"])
        what = "the host's disk is full" if data.get("nospace") else f"a disk error: {data.get('reason', '')}"
        trouble = Trouble(f'"{self._record.name}" met {what}', paused=data.get("action") == "stop")
        for met in tuple(self._met):
            met(trouble)

    async def _ask(self, name: str, arguments: Mapping[str, object] | None = None) -> object:
        if self._monitor is None or self._ended.done():
            raise self._not_running()
        return await self._monitor.execute(name, arguments)

    def _not_running(self) -> Conflict:
        return Conflict(f'the machine of "{self._record.name}" is not running')

    async def _active_node(self, serial: str) -> str:
        # QEMU says a path or the device's name alone, as the device has a child that holds the disk or holds it itself
        name = command.device(serial)
        for block in cast("list[dict[str, object]]", await self._ask("query-block")):
            if name in str(block.get("qdev", "")).split("/"):
                return str(cast("dict[str, object]", block["inserted"])["node-name"])
        raise Conflict(f'"{self._record.name}" has no disk "{serial}"')

    async def _remove_nodes(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(IrekoError):
                await asyncio.shield(self._ask("blockdev-del", {"node-name": name}))

    async def _guest_usage(self) -> GuestUsage:
        if not self._channel.connected:
            return GuestUsage()
        with contextlib.suppress(IrekoError, TimeoutError):
            async with asyncio.timeout(_COUNTERS_WAIT):
                return of_guest(await self._guest.read(scripts.COUNTERS))
        return GuestUsage()

    async def _quit(self) -> None:
        with contextlib.suppress(IrekoError):
            await self._ask("quit")

    async def _shut_down(self) -> None:
        try:
            await self._guest.shut_down()
        except IrekoError as error:
            _log.info('"%s" could not be asked to end: %s', self._record.name, error)

    async def _watch_end(self) -> None:
        await self._process.wait()
        end = ending.read(self._directory)
        self._channel.end(f'the machine of "{self._record.name}" has ended')
        for name in (files.MONITOR, files.CHANNEL, files.TERMINAL):
            (self._directory / name).unlink(missing_ok=True)
        if not self._ended.done():
            self._ended.set_result(end)
        await self._hang_up()
        await shares.end(self._servers)

    async def _hang_up(self) -> None:
        await self._channel.close()
        await self._terminal.close()
        if self._monitor is not None:
            await self._monitor.close()
        self._process.close()

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _said(self) -> str:
        return ending.tail(self._directory / files.CONSOLE)[-_LAST_WORDS:]
