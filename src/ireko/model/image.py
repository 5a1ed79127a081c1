"""Layers and images."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

GIB = 1 << 30
MIB = 1 << 20
SECTOR, NATIVE_SECTOR = 512, 4096
"""Bytes in a sector of a disk: of nearly every one, and of those that Windows calls 4K native. There are no others."""
FIRMWARE = "firmware"
"""The `init` of an image that only its own boot loader can start: no command can be given to its containers."""


@dataclass(frozen=True)
class LinkedFile:
    """A disk file of somebody else's that a layer stands on. `identity` is as in `Layer`: it must not change."""

    path: str
    format: str
    identity: str


@dataclass(frozen=True)
class Layer:
    """One immutable virtual disk file.

    `identity` is what the driver says identifies the file's content to its children (`drivers.base.Disks.identify`): it is
    compared before each start. `capacity` is the virtual size in bytes, `size` the bytes this layer's file takes.
    `sector_size` is that of the disk that a guest sees, in bytes, and the same along a chain; few formats can tell it.
    `diff_id` and `chain_id` are those of `ireko.disk.delta`, "" while nobody has computed them. `origin` tells a disk file
    that was imported again, "" for what was made here. A layer with `linked` files is empty itself: it shows what they hold,
    the newest first.
    """

    id: str
    parent: str | None
    format: str
    capacity: int
    size: int
    identity: str
    created: datetime
    chain_id: str = ""
    origin: str = ""
    linked: tuple[LinkedFile, ...] = ()
    diff_id: str = ""
    sector_size: int = SECTOR


class Hardware(enum.Enum):
    """What devices a guest's system has drivers for."""

    VIRTUAL = "virtual"
    """The hypervisor's own: the quickest."""
    COMMON = "common"
    """Those of a real computer, which any system knows."""


@dataclass(frozen=True)
class Boot:
    """How a machine boots without its disk's boot loader: files in the store's `boot/<id>/`, and the kernel's words."""

    id: str
    append: str = ""


@dataclass(frozen=True)
class ImageConfig:
    """What a container inherits from its image; the names are docker's where docker has them.

    `init` is the image's own first process: a container without a command runs it (the system way); an image without one
    always needs a command. `memory` is in bytes, `stop_timeout` in seconds. `boot` None means firmware boots the disk: a BIOS
    for `generation` 1, UEFI for 2.
    """

    os: str = "linux"
    architecture: str = "amd64"
    generation: int = 2
    boot: Boot | None = None
    init: str | None = None
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    cpus: float = 1
    memory: int = 256 * MIB
    licence: str = ""
    hardware: Hardware = Hardware.VIRTUAL


@dataclass(frozen=True)
class History:
    """How one layer came to be."""

    created: datetime
    created_by: str
    comment: str = ""
    size: int = 0


@dataclass(frozen=True)
class Image:
    """A stack of layers, the lowest first, plus a config. `id` is `sha256:` and the digest of everything else."""

    id: str
    layers: tuple[str, ...]
    config: ImageConfig
    created: datetime
    parent: str | None = None
    author: str = ""
    comment: str = ""
    history: tuple[History, ...] = ()

    @property
    def top(self) -> str:
        """The layer that a container's own disk is a child of."""
        return self.layers[-1]


def with_id(image: Image) -> Image:
    """The same image with the id that its content gives it."""
    # as it is once it was written and read again: a number of processors that was given as 1 is 1.0 then
    written = msgspec.json.decode(msgspec.json.encode(replace(image, id="")), type=Image)
    content = msgspec.json.encode(written, order="deterministic")
    return replace(image, id=f"sha256:{hashlib.sha256(content).hexdigest()}")
