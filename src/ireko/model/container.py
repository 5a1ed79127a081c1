"""Containers: what was asked for, and how they stand."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime


class Status(enum.Enum):
    """How a container stands, in docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def has_machine(self) -> bool:
        """Whether a machine exists for it in this status."""
        return self in {Status.RUNNING, Status.PAUSED}


class RestartName(enum.Enum):
    """When a container that ended is started again."""

    NO = "no"
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"


@dataclass(frozen=True)
class RestartPolicy:
    """`maximum` counts tries of on-failure; 0 is no limit."""

    name: RestartName = RestartName.NO
    maximum: int = 0


@dataclass(frozen=True)
class PortMapping:
    """A port of the guest that the host publishes. `host_port` 0: any free one. `host_ip` "": every address."""

    port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0

    @property
    def key(self) -> str:
        """docker's spelling of the guest's side: `80/tcp`."""
        return f"{self.port}/{self.protocol}"


class MountKind(enum.Enum):
    """Where a mount's content is: a folder of the host, or a named volume."""

    BIND = "bind"
    VOLUME = "volume"


@dataclass(frozen=True)
class Mount:
    """`source` is a host path or a volume's name; `target` an absolute path in the guest."""

    kind: MountKind
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class LogLimit:
    """How much of its output is kept: as docker has it, so many files of so many bytes."""

    max_size: int = 100_000_000
    max_file: int = 1

    @property
    def size(self) -> int:
        """Bytes of all the files."""
        return self.max_size * self.max_file


@dataclass(frozen=True)
class ContainerSpec:
    """What was asked for when the container was made: enough to make it again.

    `command` and `entrypoint` None mean the image's; an empty entrypoint clears the image's. `memory` (bytes) and `cpus` 0,
    and `stop_timeout` (seconds) None mean the image's. `hostname` "" means the short id.
    """

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    publish_all: bool = False
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    memory: int = 0
    cpus: float = 0
    restart: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    stop_signal: str = ""
    stop_timeout: int | None = None
    log: LogLimit = LogLimit()


@dataclass(frozen=True)
class Process:
    """The main process as it was resolved from image and spec; `argv` () means the image's own system."""

    argv: tuple[str, ...]
    environment: tuple[str, ...]
    workdir: str
    user: str


@dataclass(frozen=True)
class Container:
    """A virtual machine with a private writable layer on an image.

    `parent` is the layer that the container's disk is a child of: it moves on with each commit, `image` does not.
    `process`, `cpus`, `memory` and `stop_timeout` are resolved once, when the container is made.
    `manually_stopped` keeps `unless-stopped` from starting it again.
    """

    id: str
    name: str
    image: str
    parent: str
    spec: ContainerSpec
    process: Process
    cpus: float
    memory: int
    stop_timeout: int
    created: datetime
    status: Status = Status.CREATED
    exit_code: int = 0
    error: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    restarts: int = 0
    manually_stopped: bool = False
    published: tuple[PortMapping, ...] = ()

    @property
    def system(self) -> bool:
        """Whether the image's own system runs, rather than a command."""
        return not self.process.argv
