"""The QEMU driver."""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import re
import weakref
from pathlib import Path

from ireko.drivers.base import (
    Abilities,
    Disks,
    Driver,
    Ended,
    ExistingMachine,
    HostReport,
    Machine,
    MachineSpec,
    StandaloneSpec,
)
from ireko.drivers.qemu import (
    command,
    domain,
    ending,
    existing,
    findings,
    firmware,
    launch,
    libvirt,
    probe,
    shares,
    standalone,
    storage,
)
from ireko.drivers.qemu.machine import QemuMachine
from ireko.drivers.qemu.output import OutputWatcher
from ireko.drivers.qemu.probe import Accelerator
from ireko.drivers.qemu.shares import Sharing
from ireko.errors import ProgramFailed, ProgramMissing, Unavailable, Unsupported
from ireko.host import process

_VERSION_LIMIT = 60.0  # seconds; it takes milliseconds, unless the program has to be read from a busy disk


class QemuDriver(Driver):
    """Machines are QEMU processes. `state_dir` is where it remembers what works on this host.

    `accelerator` and `share_folders` override what would be found by trying.
    """

    def __init__(
        self, state_dir: Path, *, program: str = command.PROGRAM, accelerator: str = "", share_folders: bool = True
    ) -> None:
        self._state = state_dir
        self._program = program
        self._accelerator = Accelerator(accelerator) if accelerator else None
        self._sharing = None if share_folders else Sharing("", "it is turned off")
        self._version = ""
        self._outputs = OutputWatcher()
        self._disks = storage.QcowDisks()
        self._machines: weakref.WeakValueDictionary[Path, QemuMachine] = weakref.WeakValueDictionary()

    @property
    def abilities(self) -> Abilities:
        return Abilities(
            name="qemu",
            disk_format=storage.FORMAT,
            live_snapshot=True,
            pause=True,
            shared_folders=bool(self._sharing and self._sharing.program),
            parent_formats=("raw", "vhdx"),
        )

    @property
    def disks(self) -> Disks:
        return self._disks

    async def open(self) -> None:
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._version = await _version(self._program)
        if self._accelerator is None:
            self._accelerator = await probe.choose(self._program, self._version, state=self._state)
        if self._sharing is None:
            self._sharing = await shares.choose(self._program, self._version, state=self._state)

    async def close(self) -> None:
        for machine in tuple(self._machines.values()):
            await machine.close()
        await self._outputs.close()

    async def report(self) -> HostReport:
        found = [findings.of_qemu(self._program, self._version)]
        if self._accelerator is not None:
            found.append(findings.of_accelerator(self._accelerator))
        if self._sharing is not None:
            found.append(findings.of_sharing(self._sharing))
        found.append(findings.of_firmware(firmware.find()))
        found += (findings.of_memory(), findings.of_processors(), findings.of_open_files())
        return HostReport(self._version, self._accelerator.name if self._accelerator else "", tuple(found))

    async def start(self, spec: MachineSpec) -> Machine:
        if self._accelerator is None:
            raise Unavailable("the QEMU driver is not open")
        if spec.shares and not self.abilities.shared_folders:
            raise Unsupported(f'folders can\'t be shared with "{spec.name}" on this host', hint="ireko doctor")
        means = launch.Means(
            program=self._program,
            accelerator=self._accelerator.name,
            share_program=self._sharing.program if self._sharing else "",
            firmware=firmware.needed(spec.name) if spec.kernel is None and spec.generation == 2 else None,
        )
        machine = await launch.start(spec, means, outputs=self._outputs)
        self._machines[spec.directory] = machine
        return machine

    async def find(self, directory: Path) -> Machine | None:
        held = self._machines.get(directory)
        if held is not None and held.held:
            return held  # its monitor serves one at a time
        machine = await launch.find(directory, outputs=self._outputs)
        if machine is not None:
            self._machines[directory] = machine
        return machine

    async def last_end(self, directory: Path) -> Ended:
        return ending.read(directory)

    async def write_standalone(self, spec: StandaloneSpec, folder: Path) -> tuple[Path, ...]:
        return standalone.write(spec, folder, accelerator=self._accelerator.name if self._accelerator else "")

    async def check_register(self, spec: StandaloneSpec) -> None:
        await libvirt.check_register(spec)

    async def register(self, spec: StandaloneSpec, folder: Path) -> None:
        await libvirt.register(spec, folder / domain.FILE)

    async def existing(self, written: str) -> ExistingMachine | None:
        return await existing.find(written)

    async def format_volume(self, path: Path, capacity: int) -> None:
        await storage.format_volume(path, capacity)


async def _version(program: str) -> str:
    try:
        said = (await process.run(program, "--version", timeout=_VERSION_LIMIT)).stdout.decode(errors="replace")
    except (ProgramMissing, ProgramFailed) as error:
        raise Unavailable(
            f"QEMU can't be run: {error.message}", hint="sudo apt-get install qemu-system-x86 qemu-utils"
        ) from error
    match = re.search(r"version (\d+(?:\.\d+)*)", said)
    return match[1] if match else said.strip()
