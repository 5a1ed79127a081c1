"""The contract between the engine and a hypervisor.

A driver keeps no state of ours: the engine tells it what to start and asks it what runs. The contract's promises are tested by
`tests/contract`, which every driver passes. They are:

* A call that raises leaves nothing behind: no process, no file, no port.
* `start` and `Disks.create` return when it is done, not before; `Machine.ended` is an event, not a poll.
* Machines outlive the process that started them; `find` gets hold of one again from its directory alone.
* A parent disk is never opened for writing.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ireko.model.container import PortMapping
from ireko.model.image import SECTOR, Hardware


@dataclass(frozen=True)
class Abilities:
    """What a driver can do, so that the engine refuses early and in words.

    `disk_format` is its native one ("qcow2", "vhdx"); it is also the suffix of disk files. `parent_formats` are those that a
    disk without a parent may have, beside the native one, for a differencing disk of the native format to stand on it; their
    files may not tell of other sectors than those of 512 bytes.
    """

    name: str
    disk_format: str
    live_snapshot: bool
    pause: bool
    shared_folders: bool
    parent_formats: tuple[str, ...] = ()


class Level(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`: what was looked at, what was found, what to do about it."""

    name: str
    level: Level
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class HostReport:
    """What the driver found on this host. `accelerator` is the one that was seen to work ("kvm", "tcg")."""

    version: str
    accelerator: str
    findings: tuple[Finding, ...] = ()


class Stream(enum.Enum):
    """Where a piece of a container's output came from; the numbers are docker's."""

    STDOUT = 1
    STDERR = 2


class Stdio(enum.Enum):
    """What the main process's standard streams are."""

    PIPES = "pipes"
    STDIN = "stdin"
    TTY = "tty"
    CONSOLE = "console"
    """The system way: the serial console."""


@dataclass(frozen=True)
class Disk:
    """A disk of a machine; the guest knows it by `serial`, and sees sectors of so many bytes: 512 or 4096."""

    serial: str
    path: Path
    format: str
    read_only: bool = False
    sector_size: int = SECTOR


@dataclass(frozen=True)
class Share:
    """A host folder that the guest mounts by `tag`."""

    tag: str
    path: Path
    read_only: bool = False


@dataclass(frozen=True)
class MachineSpec:
    """Everything a driver needs to start a machine.

    `directory` is the container's own: the driver keeps sockets, logs and whatever it needs to find the machine there, and
    `find` gets nothing else. The engine has written the keys of the guest channel there (`guest.identity`).
    `kernel` and `initrd` None mean that firmware boots the root disk: a BIOS for `generation` 1, UEFI for 2. No BIOS reads
    sectors of 4096 bytes, so the engine asks for none that does. `memory` is in bytes.
    """

    id: str
    name: str
    directory: Path
    cpus: float
    memory: int
    disks: tuple[Disk, ...]
    stdio: Stdio
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    ports: tuple[PortMapping, ...] = ()
    shares: tuple[Share, ...] = ()
    network: bool = True
    mac: str = ""
    generation: int = 2
    hardware: Hardware = Hardware.VIRTUAL


@dataclass(frozen=True)
class StandaloneSpec:
    """A machine that is to run without ireko, from a folder that has all it needs.

    `disk`, `kernel`, `initrd` and `seed` are names of files in that folder; without a kernel firmware boots the disk, as in
    MachineSpec. With one, the seed has the command that runs on a terminal (`stdio` TTY), or none (CONSOLE). `memory` is in
    bytes, `sector_size` as in Disk; `ports` have their host ports. `origin` tells people what it was made from. `place` is where
    the folder will be, when that is not where it is written: what is written names the disk by its path there.
    """

    name: str
    disk: str
    format: str
    cpus: float
    memory: int
    sector_size: int = SECTOR
    generation: int = 2
    hardware: Hardware = Hardware.VIRTUAL
    kernel: str = ""
    initrd: str = ""
    append: str = ""
    seed: str = ""
    stdio: Stdio = Stdio.TTY
    ports: tuple[PortMapping, ...] = ()
    mac: str = ""
    origin: str = ""
    place: Path | None = None


@dataclass(frozen=True)
class ExistingDisk:
    """A disk of a machine that is not ours. `format` "" and `sector_size` 0 are to be found by looking."""

    path: Path
    format: str = ""
    sector_size: int = 0


@dataclass(frozen=True)
class ExistingMachine:
    """A machine that the hypervisor knows, or that files of its own describe.

    `disks` are those with content, the one that it boots from first. `memory` is in bytes.
    """

    name: str
    disks: tuple[ExistingDisk, ...]
    cpus: float
    memory: int
    generation: int
    hardware: Hardware
    running: bool


class MachineState(enum.Enum):
    """How the hypervisor says a machine stands."""

    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True)
class Ended:
    """How a machine ended.

    `exit_code` None: it said nothing (it was cut off, or its system powered off). `reason` is for people: the guest's own
    "failed" or "error" text, or the hypervisor's last words.
    """

    exit_code: int | None
    reason: str = ""
    clean: bool = False
    """Whether the guest powered off by itself."""


@dataclass(frozen=True)
class Usage:
    """What a machine has used. Processor time in nanoseconds, the rest in bytes."""

    processor: int
    memory: int
    memory_limit: int
    processes: int
    disk_read: int
    disk_written: int
    network_received: int
    network_sent: int


@dataclass(frozen=True)
class Trouble:
    """Something a machine met while it goes on. `paused` when the hypervisor paused it for that (a full host disk)."""

    message: str
    paused: bool


@dataclass(frozen=True)
class Command:
    """A program to run in a guest, apart from the main one. `environment` holds NAME=value; `user` "" is root."""

    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    tty: bool = False
    size: tuple[int, int] = (24, 80)
    """Rows and columns of the terminal."""


@dataclass(frozen=True)
class FileEntry:
    """A file in a guest. `mode` is `st_mode`, `mtime` in whole seconds since 1970, `size` in bytes.

    `path` is absolute. `link_target` is where a symbolic link points to.
    """

    path: str
    mode: int
    size: int
    mtime: int
    uid: int = 0
    gid: int = 0
    link_target: str = ""


class GuestProcess(Protocol):
    """A program that runs in a guest. All its calls but `close` raise GuestFailed when the guest is gone."""

    async def write(self, data: bytes) -> None:
        """Write to its standard input; returns when there is room for more."""

    async def close_input(self) -> None:
        """End its standard input."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Its output as it comes, until both streams end. With a terminal all of it is STDOUT. To be read once."""

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size."""

    async def signal(self, number: int) -> None:
        """Send it a signal."""

    async def wait(self) -> int:
        """Its exit code; 128+N after signal N."""

    async def close(self) -> None:
        """Let go of it, ending it when it still runs. May be repeated."""


class Guest(Protocol):
    """The guest channel: how the engine reaches into a running guest."""

    async def run(self, command: Command) -> GuestProcess:
        """Start a program. Raises GuestFailed when the guest can't be reached, TimedOut when it did not answer in time.

        The first call waits for the guest to come up; a program that does not exist shows as exit code 127, one that
        can't be executed as 126, as a shell has it.
        """

    async def archive(self, path: str) -> AsyncIterator[bytes]:
        """The file or folder at an absolute guest path as a tar stream whose top entry has the path's last name.

        A path that ends in `/.` means what is in the folder: the top entry is `.` then.
        Raises NotFound before the first piece when there is nothing at the path.
        """

    async def unpack(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        """Unpack a tar stream into the existing guest folder `path`. Raises NotFound when it is not there."""

    async def stat(self, path: str) -> FileEntry:
        """What is at an absolute guest path, a symbolic link itself. Raises NotFound."""

    async def listing(self) -> list[FileEntry]:
        """Every file of the root file system, without what is mounted on it; `link_target` is left empty."""

    async def write_input(self, data: bytes) -> None:
        """Write to the main process's standard input (Stdio.STDIN); returns when there is room for more."""

    async def close_input(self) -> None:
        """End the main process's standard input (Stdio.STDIN)."""

    async def resize(self, rows: int, columns: int) -> None:
        """Tell the main process's terminal a new size (Stdio.TTY, Stdio.CONSOLE). Best effort."""

    async def signal(self, number: int) -> None:
        """Send the main process a signal (command way)."""

    async def sync(self) -> None:
        """Have the guest write everything it holds to its disks."""

    async def freeze(self, paths: Sequence[str]) -> None:
        """Have the file systems at these mount points written out, as after an unmount, and held still from then on.

        The root file system ("/") comes last. A guest that is not up yet has nothing to write out.
        Raises GuestFailed, NotFound where there is none.
        """


class Machine(Protocol):
    """A virtual machine that runs or is paused.

    The output files are `stdout.log` and `stderr.log` in the spec's directory, and hold every run's output one after the other.
    `outputs` are the files that the hypervisor appends the main process's output to (with Stdio.TTY and CONSOLE only STDOUT):
    they grow while the machine runs, whether anyone looks or not. What they begin with may become a hole meanwhile.
    """

    @property
    def id(self) -> str: ...

    @property
    def guest(self) -> Guest: ...

    @property
    def outputs(self) -> tuple[tuple[Stream, Path], ...]: ...

    @property
    def ports(self) -> tuple[PortMapping, ...]:
        """The published ports with the host ports that were really taken."""

    @property
    def pid(self) -> int: ...

    async def state(self) -> MachineState:
        """Asked of the hypervisor, each time."""

    async def ended(self) -> Ended:
        """Waits for the end; the answer is the same for everyone who asks."""

    def watch_outputs(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called (in the event loop) after the outputs have grown; the result stops that."""

    def watch_trouble(self, met: Callable[[Trouble], None]) -> Callable[[], None]:
        """Have `met` called when the machine meets trouble; the result stops that."""

    async def write_terminal(self, data: bytes) -> None:
        """Type on the main process's terminal or the serial console (Stdio.TTY, Stdio.CONSOLE)."""

    async def request_power_off(self) -> None:
        """Ask the guest to end: as a power button does in the system way, SIGTERM to the command otherwise. Does not wait."""

    async def power_off(self) -> None:
        """Cut the power; returns when the machine is gone. It may be gone already."""

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def switch_disk(self, serial: str, leaf: Path, parent: Path) -> None:
        """Let the machine write to `leaf` from now on; what it wrote to so far has become the leaf's parent.

        `leaf` was made by `Disks.create` with `parent` as its parent, where the present disk file is or will be by the time
        anyone opens the leaf anew. The guest stands still for well under 100 ms.
        """

    async def active_disk(self, serial: str) -> Path:
        """The file that the machine writes to, as it was named when it was opened."""

    async def usage(self) -> Usage: ...

    async def close(self) -> None:
        """Let go of the machine; it goes on running. May be repeated."""


class Disks(Protocol):
    """Disk files in the driver's native format. All calls are quick and block."""

    def create(self, path: Path, *, parent: Path | None, capacity: int, parent_format: str = "") -> None:
        """Make an empty disk; with a parent, a differencing one whose stored parent path is relative.

        `parent` need not exist yet: it is where the parent will be. `capacity` is the virtual size in bytes.
        Raises NoSpace; AlreadyThere when `path` exists.
        """

    def capacity(self, path: Path) -> int:
        """The virtual size in bytes. Raises Damaged."""

    def identify(self, path: Path) -> str:
        """What tells a child that its parent is the one it was made on: stable while the content is, cheap to get.

        Raises Damaged when the file is missing or not a disk.
        """

    def untouched(self, path: Path) -> bool:
        """Whether nothing was ever written to this differencing disk."""


class Driver(Protocol):
    """A hypervisor."""

    @property
    def abilities(self) -> Abilities: ...

    @property
    def disks(self) -> Disks: ...

    async def open(self) -> None:
        """Get ready (probe the accelerator, for one). Raises Unavailable with a remedy."""

    async def close(self) -> None:
        """Let go of everything; machines go on running."""

    async def report(self) -> HostReport:
        """For `doctor` and `info`; never raises for what it finds."""

    async def start(self, spec: MachineSpec) -> Machine:
        """Start a machine. Raises Conflict (a port is taken), Unavailable, ProgramFailed, NoSpace; then nothing is left."""

    async def find(self, directory: Path) -> Machine | None:
        """The machine that was started with this directory, if it still runs."""

    async def last_end(self, directory: Path) -> Ended:
        """How the machine of this directory ended, when nobody watched."""

    async def write_standalone(self, spec: StandaloneSpec, folder: Path) -> tuple[Path, ...]:
        """Write into a folder what runs its disk without ireko, and says how: the files that were written.

        Raises Unsupported for what can't be had on this host, AlreadyThere, NoSpace, Denied.
        """

    async def check_register(self, spec: StandaloneSpec) -> None:
        """Whether `register` can be asked for.

        Raises Unavailable, ProgramMissing, AlreadyThere for a name that is taken, InvalidInput for one that can't be,
        Unsupported for a disk that the hypervisor does not know.
        """

    async def register(self, spec: StandaloneSpec, folder: Path) -> None:
        """Have the hypervisor know the machine of a folder that `write_standalone` has filled, under the spec's name.

        Raises what `check_register` raises, ProgramFailed.
        """

    async def existing(self, written: str) -> ExistingMachine | None:
        """A machine that is not ours: by the name that the hypervisor knows it by, or by the path of what describes it.

        None when there is no such machine. Raises Damaged for a description that can't be read, Unsupported for a machine
        whose disks can't be told.
        """

    async def format_volume(self, path: Path, capacity: int) -> None:
        """Make a data disk with an empty ext4 file system that guests can mount; its format is "raw" or the native one."""
