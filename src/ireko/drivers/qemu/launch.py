"""Starting a machine, and getting hold of one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ireko.drivers.base import MachineSpec
from ireko.drivers.qemu import command, diagnosis, ending, files, firmware, network, shares
from ireko.drivers.qemu.firmware import Firmware
from ireko.drivers.qemu.machine import QemuMachine, Record
from ireko.drivers.qemu.monitor import Event, Monitor
from ireko.drivers.qemu.output import OutputWatcher
from ireko.drivers.qemu.process import Process, start_apart
from ireko.errors import Conflict, NoSpace, TimedOut, Unavailable

_START_LIMIT = 60.0  # seconds; a second is plenty, unless the host is drowning
_FIND_LIMIT = 30.0
_PORT_TRIES = 5
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Means:
    """What a machine is run with: QEMU and its accelerator, what serves folders, the firmware when it boots by UEFI."""

    program: str
    accelerator: str
    share_program: str = ""
    firmware: Firmware | None = None


async def start(spec: MachineSpec, means: Means, *, outputs: OutputWatcher) -> QemuMachine:
    """Start a machine; when this returns, QEMU runs it. When it raises or is cancelled nothing is left."""
    if _answers(spec.directory):
        raise Conflict(f'the machine of "{spec.name}" runs already')
    for tries_left in reversed(range(_PORT_TRIES)):
        ports = network.choose(spec.ports) if spec.network else ()
        try:
            async with _undone(spec), _served(spec, means.share_program) as servers:
                record = Record(spec.id, spec.name, spec.stdio, spec.memory, ports, agent=spec.kernel is not None)
                return await _start(spec, record, means, servers=servers, outputs=outputs)
        except diagnosis.PortTaken:
            # free a moment ago: a fixed one is named by the next choice, another is chosen for the rest
            if not tries_left:
                raise
    raise AssertionError


@contextlib.asynccontextmanager
async def _served(spec: MachineSpec, program: str) -> AsyncIterator[tuple[Process, ...]]:
    """Serve the shared folders; no longer, when the start fails."""
    servers: list[Process] = []
    try:
        for share in spec.shares:
            servers.append(shares.start(share, spec.directory, program))  # noqa: PERF401 - kept one by one
        yield tuple(servers)
    except BaseException:
        for server in servers:
            server.kill()
        await shares.end(servers)
        raise


async def _start(
    spec: MachineSpec,
    record: Record,
    means: Means,
    *,
    servers: tuple[Process, ...],
    outputs: OutputWatcher,
) -> QemuMachine:
    try:
        process, connection = _spawn(spec, record, means)
    except OSError as error:
        kind = NoSpace if error.errno in {errno.ENOSPC, errno.EDQUOT} else Unavailable
        raise kind(f'"{spec.name}" can\'t be started: {error}') from error
    machine = QemuMachine(record, directory=spec.directory, process=process, outputs=outputs, servers=servers)
    try:
        machine.attach(await _greet(connection, name=spec.name, machine=machine, limit=_START_LIMIT))
    except Unavailable as error:
        process.kill()
        await process.wait()
        process.close()
        raise diagnosis.of_start(spec.name, ending.tail(spec.directory / files.HYPERVISOR)) from error
    except BaseException:
        process.kill()
        await process.wait()
        process.close()
        raise
    return machine


def _answers(directory: Path) -> bool:
    """Whether a process listens where a machine of this folder would."""
    try:
        files.connect(directory / files.MONITOR).close()
    except OSError:
        return False
    return True


@contextlib.asynccontextmanager
async def _undone(spec: MachineSpec) -> AsyncIterator[None]:
    """Leave nothing of a start that fails."""
    variables = spec.directory / files.VARIABLES
    remembers = variables.exists()
    try:
        files.remove_run(spec.directory)
        yield
    except BaseException:
        files.remove_run(spec.directory)
        if not remembers:
            variables.unlink(missing_ok=True)
        for _, path in files.outputs(spec.directory, spec.stdio):
            if path.exists() and not path.stat().st_size:
                path.unlink()
        raise


def _spawn(spec: MachineSpec, record: Record, means: Means) -> tuple[Process, socket.socket]:
    """Start QEMU, with a connection to its monitor that it will answer when it is ready."""
    record.save(spec.directory)
    if means.firmware is not None:
        firmware.provide(means.firmware.variables, spec.directory / files.VARIABLES)
    with (
        files.listen(spec.directory / files.MONITOR) as listener,
        (spec.directory / files.HYPERVISOR).open("wb") as said,
    ):
        (spec.directory / files.HYPERVISOR).chmod(0o600)
        monitor = listener.fileno()
        argv = command.arguments(
            spec,
            accelerator=means.accelerator,
            ports=record.ports,
            monitor=monitor,
            program=means.program,
            firmware=means.firmware,
        )
        connection = files.connect(spec.directory / files.MONITOR)
        try:
            return start_apart(argv, cwd=spec.directory, output=said, keep=(monitor,)), connection
        except BaseException:
            connection.close()
            raise


async def find(directory: Path, *, outputs: OutputWatcher) -> QemuMachine | None:
    """The machine that was started in a folder, if it runs. Raises Unavailable when it runs and does not answer."""
    record = Record.load(directory)
    if record is None:
        return None
    try:
        connection = files.connect(directory / files.MONITOR)
    except OSError:  # no socket, or nobody behind it
        return None
    pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        process = Process(pid)
    except ProcessLookupError:
        connection.close()
        return None
    return await _take_hold(record, directory, process, connection, outputs)


async def _take_hold(
    record: Record, directory: Path, process: Process, connection: socket.socket, outputs: OutputWatcher
) -> QemuMachine | None:
    machine = QemuMachine(record, directory=directory, process=process, outputs=outputs)
    try:
        monitor = await _greet(connection, name=record.name, machine=machine, limit=_FIND_LIMIT)
        # it answers through the socket of this folder, so the process behind the socket is the one we hold
        answer = await monitor.ask("query-name")
    except TimedOut:
        process.close()
        raise
    except Unavailable:
        process.close()
        return None
    except BaseException:
        process.close()
        raise
    if answer.get("name") != record.id:
        await monitor.close()
        process.close()
        return None
    machine.attach(monitor)
    return machine


async def _greet(connection: socket.socket, *, name: str, machine: QemuMachine, limit: float) -> Monitor:
    def heard(event: Event) -> None:
        machine.heard(event)

    try:
        async with asyncio.timeout(limit):
            return await Monitor.open(connection, name=name, heard=heard)
    except TimeoutError as error:
        raise TimedOut(f'QEMU did not answer for "{name}" within {limit:g} seconds') from error
