"""The toy guest's kernel: processes as asyncio tasks, signals, users."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ireko.drivers.fake.filesystem import FileSystem
from ireko.drivers.fake.streams import Input, Nowhere, Sink, Terminal
from ireko.errors import IrekoError

HUP, INT, KILL, PIPE, TERM, WINCH = 1, 2, 9, 13, 15, 28
SIGNALS = {"EXIT": 0, "HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28}
NOT_EXECUTABLE, NOT_FOUND = 126, 127
_IGNORED = frozenset({17, 18, 23, 28})  # CHLD, CONT, URG, WINCH
_SHEBANG = b"#!"

Program = Callable[["Process"], Awaitable[int]]


@dataclass(frozen=True)
class Streams:
    """What a program reads from and writes to."""

    stdin: Input = field(default_factory=Input)
    stdout: Sink = field(default_factory=Nowhere)
    stderr: Sink = field(default_factory=Nowhere)
    terminal: Terminal | None = None


@dataclass(frozen=True)
class User:
    """Who a program runs as."""

    name: str = "root"
    uid: int = 0
    gid: int = 0


class System:
    """One running guest. While `going` is not set it stands still: every program waits at its next step."""

    def __init__(self, files: FileSystem, programs: Mapping[str, Program], *, hostname: str) -> None:
        self.files = files
        self.programs = programs
        self.hostname = hostname
        self.processes: dict[int, Process] = {}
        self.going = asyncio.Event()
        self.going.set()
        self.steps = 0
        self.off = False
        self.power_off: Callable[[], None] = lambda: None
        self._pid = 1

    async def step(self) -> None:
        """What every program does between two things it does."""
        self.steps += 1
        await asyncio.sleep(0)
        await self.going.wait()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        workdir: str,
        user: User,
        streams: Streams,
        parent: int = 1,
    ) -> Process:
        """Start a program; one that does not exist says so on its standard error and ends with 127."""
        self._pid += 1
        process = Process(self, self._pid, tuple(argv), dict(environment), workdir, user, streams, parent)
        self.processes[process.pid] = process
        process.begin()
        return process

    def user(self, text: str) -> User:
        """Who `name[:group]` is, by number or as /etc/passwd has it. Raises KeyError when nobody is."""
        name, _, group = text.partition(":")
        found = User() if name in {"", "root", "0"} else self._in_passwd(name)
        return replace(found, gid=int(group)) if group.isdigit() else found

    def find_program(self, argv: Sequence[str], *, workdir: str, path: str) -> tuple[Program, tuple[str, ...]]:
        """What to run for a command, and with which arguments. Raises FileNotFoundError, PermissionError."""
        name = argv[0]
        folders = ("",) if "/" in name else path.split(":")
        candidates = [posixpath.join(workdir, each, name) for each in folders]
        for candidate in candidates:
            if self.files.exists(candidate):
                return self._in_files(candidate, tuple(argv))
        folder, base = posixpath.split(name)
        if base in self.programs and folder in {"", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"}:
            return self.programs[base], tuple(argv)
        raise FileNotFoundError(name)

    async def kill_all(self) -> None:
        """End every process."""
        processes = list(self.processes.values())
        for process in processes:
            process.signal(KILL)
        for process in processes:
            await process.wait()

    def _in_files(self, path: str, argv: tuple[str, ...]) -> tuple[Program, tuple[str, ...]]:
        if not self.files.executable(path):
            raise PermissionError(argv[0])
        data = self.files.read(path)
        if data.startswith(_SHEBANG):
            interpreter = data.partition(b"\n")[0].removeprefix(_SHEBANG).decode(errors="replace").split()
            program, words = self.find_program(interpreter, workdir="/", path="")
            return program, (*words, argv[0] if "/" in argv[0] else path, *argv[1:])
        if (base := posixpath.basename(path)) in self.programs:
            return self.programs[base], argv
        raise PermissionError(argv[0])

    def _in_passwd(self, name: str) -> User:
        with contextlib.suppress(OSError):
            for line in self.files.read("/etc/passwd").decode(errors="replace").splitlines():
                fields = line.split(":")
                if len(fields) > 3 and name in {fields[0], fields[2]}:
                    return User(fields[0], int(fields[2]), int(fields[3]))
        if not name.isdigit():
            raise KeyError(name)
        return User(name, int(name), 0)


class Process:
    """A program that runs."""

    def __init__(
        self,
        system: System,
        pid: int,
        argv: tuple[str, ...],
        environment: dict[str, str],
        workdir: str,
        user: User,
        streams: Streams,
        parent: int,
    ) -> None:
        self.system = system
        self.pid = pid
        self.argv = argv
        self.environment = environment
        self.workdir = workdir
        self.user = user
        self.streams = streams
        self.parent = parent
        self.traps: dict[int, str] = {}
        """What a shell does about signals: "" ignores one."""
        self.caught: list[int] = []
        self.unknown = False
        """Whether there was no such program, or it could not be executed."""
        self.cut = False
        """Whether it ended because the machine did."""
        self._followers: list[Callable[[], None]] = []
        self._children: set[Process] = set()
        self._killed: int | None = None
        self._task: asyncio.Task[int]
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Run it."""
        self._task = asyncio.create_task(self._run(), name=f"fake process {self.argv[:1]}")
        self._task.add_done_callback(self._over)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._code.done()

    async def wait(self) -> int:
        """Its exit code; 128+N after signal N."""
        return await asyncio.shield(self._code)

    def when_over(self, follower: Callable[[], None]) -> None:
        """Have something called when it has ended."""
        self._followers.append(follower)

    def signal(self, number: int) -> None:
        """Send it a signal: it dies of most."""
        if number != KILL and number in self.traps:
            if self.traps[number]:
                self.caught.append(number)
        elif number not in _IGNORED and not self.ended:
            self._killed = number
            self._task.cancel()

    async def child(self, argv: Sequence[str], *, environment: Mapping[str, str], streams: Streams) -> Process:
        """Start a program on this one's behalf; it dies when this one is killed."""
        await self.system.step()
        child = self.system.spawn(
            argv, environment=environment, workdir=self.workdir, user=self.user, streams=streams, parent=self.pid
        )
        self._children.add(child)
        return child

    def interrupt(self, number: int) -> None:
        """What a terminal does to the program in its foreground and to those that run it."""
        for child in tuple(self._children):
            child.interrupt(number)
        self.signal(number)

    def path(self, name: str) -> str:
        """A path as this program means it."""
        return posixpath.join(self.workdir, name)

    async def print(self, text: str) -> None:
        """Write a line to its standard output."""
        await self.streams.stdout.write(text.encode(errors="surrogateescape") + b"\n")

    async def complain(self, text: str) -> None:
        """Write a line to its standard error."""
        await self.streams.stderr.write(text.encode(errors="surrogateescape") + b"\n")

    async def _run(self) -> int:
        await self.system.step()
        try:
            program, self.argv = self.system.find_program(
                self.argv, workdir=self.workdir, path=self.environment.get("PATH", "")
            )
        except FileNotFoundError:
            self.unknown = True
            await self.complain(f"{self.argv[0]}: not found")
            return NOT_FOUND
        except PermissionError:
            self.unknown = True
            await self.complain(f"{self.argv[0]}: Permission denied")
            return NOT_EXECUTABLE
        try:
            return await program(self)
        except BrokenPipeError:
            return 128 + PIPE
        except (ValueError, LookupError, IrekoError) as error:
            await self.complain(f"{self.argv[0]}: can't do that: {error}")
            return 2
        except OSError as error:
            reason = _REASONS.get(type(error), "I/O error")
            await self.complain(f"{self.argv[0]}: {error.strerror or f'{error}: {reason}'}")
            return 1

    def _over(self, task: asyncio.Task[int]) -> None:
        del self.system.processes[self.pid]
        for child in self._children:
            if not child.ended:
                child.signal(HUP)
        if self._killed is not None:
            code = 128 + self._killed
        elif task.cancelled():
            code = 128 + KILL  # the event loop ends
        elif task.exception() is not None:
            code = 1  # the loop's exception handler tells
        else:
            code = task.result() & 0xFF
        self.cut = self.system.off and self._killed is not None
        self._code.set_result(code)
        for follower in self._followers:
            follower()


_REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "No such file or directory",
    IsADirectoryError: "Is a directory",
    NotADirectoryError: "Not a directory",
    FileExistsError: "File exists",
    PermissionError: "Permission denied",
}
