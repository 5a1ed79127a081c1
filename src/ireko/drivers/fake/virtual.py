"""A machine as the fake host holds it: it runs whether a driver looks or not."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from ireko.drivers.base import Ended, MachineSpec, Stdio, Stream, Trouble
from ireko.drivers.fake import archive, seed
from ireko.drivers.fake.filesystem import FileSystem
from ireko.drivers.fake.process import NOT_EXECUTABLE, NOT_FOUND, TERM, Process, Streams, System, User
from ireko.drivers.fake.programs import PROGRAMS
from ireko.drivers.fake.streams import AppendedFile, Input, Pipe, Terminal
from ireko.drivers.fake.tree import Tree
from ireko.errors import IrekoError
from ireko.model.container import PortMapping

STDOUT, STDERR, END = "stdout.log", "stderr.log", "end.json"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BootFailed(Exception):
    """The guest could not do its work; the text is for people."""


def output_files(spec: MachineSpec) -> tuple[tuple[Stream, Path], ...]:
    """The files that a machine's output is appended to."""
    stdout = (Stream.STDOUT, spec.directory / STDOUT)
    if spec.stdio in {Stdio.TTY, Stdio.CONSOLE}:
        return (stdout,)
    return (stdout, (Stream.STDERR, spec.directory / STDERR))


def last_end(directory: Path) -> Ended:
    """How the last machine of a folder ended, as it was written down then."""
    try:
        return msgspec.json.decode((directory / END).read_bytes(), type=Ended)
    except (OSError, msgspec.MsgspecError):
        return Ended(None)


class VirtualMachine:
    """One machine. `gone` is called when it has ended, before anyone is told."""

    def __init__(
        self,
        spec: MachineSpec,
        *,
        disks: dict[str, Tree],
        ports: tuple[PortMapping, ...],
        pid: int,
        gone: Callable[[VirtualMachine], None],
    ) -> None:
        self.spec = spec
        self.disks = disks
        self.ports = ports
        self.pid = pid
        self.system = System(FileSystem(disks["root"]), PROGRAMS, hostname="localhost")
        self.system.power_off = lambda: self._end_soon(Ended(None, clean=True))
        self.main: Process | None = None
        self.terminal: Terminal | None = None
        self.input = Pipe()
        self.output_watchers: list[Callable[[], None]] = []
        self.trouble_watchers: list[Callable[[Trouble], None]] = []
        self.up = asyncio.Event()
        """Set when the guest answers, and when it never will."""
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._gone = gone
        self._ending: asyncio.Task[None] | None = None
        self._life = asyncio.create_task(self._live(), name=f"fake machine {spec.name}")

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return not self.system.going.is_set()

    def pause(self) -> None:
        """Hold it still."""
        self.system.going.clear()

    def resume(self) -> None:
        """Let it go on."""
        self.system.going.set()

    def meet(self, trouble: Trouble) -> None:
        """Let it meet trouble."""
        if trouble.paused:
            self.pause()
        for met in tuple(self.trouble_watchers):
            met(trouble)

    async def request_power_off(self) -> None:
        """Ask it to end, once it is up."""
        await self.up.wait()
        if self.spec.stdio is not Stdio.CONSOLE and self.main is not None:
            self.main.signal(TERM)
        elif self.terminal is not None:
            await self.terminal.write(b"The system is going down.\n")
            self._end_soon(Ended(None, clean=True))

    async def cut(self) -> None:
        """Cut the power."""
        self._end_soon(Ended(None))
        await asyncio.shield(self.ended)

    async def _live(self) -> None:
        try:
            await self._boot()
            await self._greet()
            self._start_main()
        except BootFailed as error:
            self._end_soon(Ended(None, str(error), clean=True))
            return
        self.up.set()
        assert self.main is not None
        code = await self.main.wait()
        while self.spec.stdio is Stdio.CONSOLE:  # as an init starts its login anew
            self._start_main()
            await self.main.wait()
        reason = f"{self.main.argv[0]}: {_WHY[code]}" if self.main.unknown and code in _WHY else ""
        self._end_soon(Ended(code, reason, clean=True))

    async def _boot(self) -> None:
        await self.system.step()
        try:
            content = seed.read(self._seed_disk())
            for mount in content.mounts:
                if mount.tag not in self.disks:
                    raise BootFailed(f"there is no disk {mount.tag} to mount at {mount.path}")
                self.system.files.mount(mount.path, self.disks[mount.tag])
            for disk in self.spec.disks:
                if disk.serial.startswith("copy-"):
                    archive.unpack(self.system.files, "/", disk.path.read_bytes())
        except (seed.NoSeed, OSError, tarfile.TarError, IrekoError) as error:
            raise BootFailed(str(error)) from error
        self.system.hostname = content.hostname
        self._command = content.command
        if (content.command is None) != (self.spec.stdio is Stdio.CONSOLE):
            raise BootFailed(f"the seed and the machine disagree: its streams are {self.spec.stdio.value}")

    async def _greet(self) -> None:
        if self.spec.stdio is Stdio.CONSOLE:
            self._streams()
            assert self.terminal is not None
            await self.terminal.write(f"Welcome to {self.system.hostname}!\n".encode())

    def _seed_disk(self) -> Path:
        for disk in self.spec.disks:
            if disk.serial == "seed":
                return disk.path
        raise BootFailed("the machine has no disk with the serial number seed")

    def _start_main(self) -> None:
        command = self._command or seed.Command(("sh",))
        if not command.argv:
            raise BootFailed("the seed names no command")
        try:
            user = self.system.user(command.user)
        except KeyError as error:
            raise BootFailed(f"unable to find user {command.user}: no matching entries in passwd file") from error
        streams = self._streams()
        self.main = self.system.spawn(
            command.argv,
            environment=self.environment(command.environment, user, terminal=streams.terminal is not None),
            workdir=command.workdir or "/",
            user=user,
            streams=streams,
        )

    def environment(self, given: dict[str, str], user: User, *, terminal: bool) -> dict[str, str]:
        """What the agent adds where the environment does not set it."""
        home = "/root" if user.uid == 0 else "/"
        added = {"PATH": _PATH, "HOME": home, "HOSTNAME": self.system.hostname}
        return {**added, **({"TERM": "xterm"} if terminal else {}), **given}

    def _streams(self) -> Streams:
        stdout, stderr = (AppendedFile(self.spec.directory / name, self._grown) for name in (STDOUT, STDERR))
        if self.spec.stdio in {Stdio.TTY, Stdio.CONSOLE}:
            if self.terminal is None:
                self.terminal = Terminal(stdout)
                self.terminal.signal = self._interrupt
            return Streams(self.terminal.input, self.terminal, self.terminal, self.terminal)
        return Streams(Input(self.input) if self.spec.stdio is Stdio.STDIN else Input(), stdout, stderr)

    def _interrupt(self, number: int) -> None:
        if self.main is not None:
            self.main.interrupt(number)

    def _grown(self) -> None:
        loop = asyncio.get_running_loop()
        for changed in tuple(self.output_watchers):
            loop.call_soon(changed)

    def _end_soon(self, ended: Ended) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(ended), name=f"end of fake machine {self.spec.name}")

    async def _end(self, ended: Ended) -> None:
        self.system.off = True
        self._life.cancel()
        await asyncio.wait([self._life])
        await self.system.kill_all()
        with contextlib.suppress(OSError):  # its folder may be gone
            (self.spec.directory / END).touch(mode=0o600)
            (self.spec.directory / END).write_bytes(msgspec.json.encode(ended))
        self._gone(self)
        self.up.set()
        self.ended.set_result(ended)


_WHY = {NOT_EXECUTABLE: "Permission denied", NOT_FOUND: "not found"}
