"""The fake host: what goes on when a driver, and the daemon with it, is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ireko.drivers.base import Disk, MachineSpec
from ireko.drivers.fake.tree import Tree
from ireko.drivers.fake.virtual import END, VirtualMachine, output_files
from ireko.errors import Conflict, Damaged, ProgramFailed
from ireko.model.container import PortMapping

_FIRST_PID = 1 << 23  # above every real process's number
_FREE_PORTS = range(49152, 65536)
_EVERYWHERE = frozenset({"", "0.0.0.0"})  # noqa: S104 - docker's words


class FakeHost:
    """Holds the running machines, the ports and the disks in use. One event loop long."""

    def __init__(self) -> None:
        self.machines: dict[Path, VirtualMachine] = {}
        self.registered: dict[str, Path] = {}
        """The folders of machines that are none of ireko's, by name."""
        self._started = 0

    def start(self, spec: MachineSpec) -> VirtualMachine:
        """Start a machine. Raises Conflict, ProgramFailed; then nothing is left."""
        if spec.directory in self.machines:
            raise Conflict(f'the machine of "{spec.name}" runs already')
        ports = self.take_ports(spec.ports) if spec.network else ()
        disks = {disk.serial: self._open(spec, disk) for disk in spec.disks if _is_ours(disk)}
        if "root" not in disks:
            raise ProgramFailed(f'"{spec.name}" can\'t be started: it has no root disk', exit_code=1)
        made: list[Path] = []
        try:
            for _, path in output_files(spec):
                if not path.exists():
                    path.touch(mode=0o600)
                    made.append(path)
            (spec.directory / END).unlink(missing_ok=True)
        except OSError as error:
            for path in made:
                path.unlink()
            raise ProgramFailed(f'"{spec.name}" can\'t be started: {error}', exit_code=1) from error
        self._started += 1
        machine = VirtualMachine(spec, disks=disks, ports=ports, pid=_FIRST_PID + self._started, gone=self._forget)
        self.machines[spec.directory] = machine
        return machine

    async def undo(self, machine: VirtualMachine) -> None:
        """End a machine as if it had never been started."""
        await machine.cut()
        for _, path in output_files(machine.spec):
            if not path.stat().st_size:
                path.unlink()
        (machine.spec.directory / END).unlink(missing_ok=True)

    async def cut_power(self) -> None:
        """End every machine, as when the host loses its power."""
        await asyncio.gather(*(machine.cut() for machine in tuple(self.machines.values())))

    def take_ports(self, wanted: Iterable[PortMapping]) -> tuple[PortMapping, ...]:
        """The ports with their host ports filled in. Raises Conflict naming the one that is taken."""
        chosen: list[PortMapping] = []
        for port in wanted:
            numbers = _FREE_PORTS if not port.host_port else (port.host_port,)
            free = (each for each in (replace(port, host_port=n) for n in numbers) if not self._taken(each, chosen))
            found = next(free, None)
            if found is None:
                raise Conflict(
                    f"Bind for {port.host_ip or '0.0.0.0'}:{port.host_port} failed: port is already allocated",  # noqa: S104
                    hint="publish another one, or stop the container that has it",
                )
            chosen.append(found)
        return tuple(chosen)

    def _taken(self, port: PortMapping, chosen: list[PortMapping]) -> bool:
        held = [each for machine in self.machines.values() for each in machine.ports]
        return any(_clash(port, each) for each in (*held, *chosen))

    def _open(self, spec: MachineSpec, disk: Disk) -> Tree:
        try:
            tree = Tree(disk.path, format_name=disk.format, read_only=disk.read_only)
        except Damaged as error:
            raise ProgramFailed(f'"{spec.name}" can\'t be started: {error.message}', exit_code=1) from error
        for other in self.machines.values():
            for each in other.disks.values():
                if each.disk_id == tree.disk_id and not (each.read_only and tree.read_only):
                    raise ProgramFailed(
                        f'"{spec.name}" can\'t be started: the disk "{disk.path}" is in use by "{other.spec.name}"',
                        exit_code=1,
                    )
        return tree

    def _forget(self, machine: VirtualMachine) -> None:
        del self.machines[machine.spec.directory]


def _is_ours(disk: Disk) -> bool:
    return disk.serial == "root" or disk.serial.startswith("vol-")


def _clash(one: PortMapping, other: PortMapping) -> bool:
    same = one.protocol == other.protocol and one.host_port == other.host_port
    return same and (one.host_ip == other.host_ip or bool({one.host_ip, other.host_ip} & _EVERYWHERE))
