"""Every path we write, in one place; `docs/on-disk.md` mirrors it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The layout under one root. `suffix` is the driver's disk format."""

    root: Path
    suffix: str

    @property
    def lock(self) -> Path:
        """Held by the daemon that owns the root."""
        return self.root / "lock"

    @property
    def database(self) -> Path:
        """SQLite."""
        return self.root / "ireko.db"

    @property
    def layers(self) -> Path:
        """A folder for each layer."""
        return self.root / "layers"

    @property
    def containers(self) -> Path:
        """A folder for each container."""
        return self.root / "containers"

    @property
    def volumes(self) -> Path:
        """A folder for each named volume."""
        return self.root / "volumes"

    @property
    def boot(self) -> Path:
        """A folder for each pair of kernel and initrd."""
        return self.root / "boot"

    @property
    def tmp(self) -> Path:
        """Half-made things; emptied at each start of the daemon."""
        return self.root / "tmp"

    @property
    def lost(self) -> Path:
        """What a check found without a record, and put aside; made when it is needed, and never touched again."""
        return self.root / "lost"

    @property
    def cache(self) -> Path:
        """What can be fetched or computed again."""
        return self.root / "cache"

    @property
    def state(self) -> Path:
        """What the driver remembers of this host."""
        return self.root / "state"

    def make(self) -> None:
        """Make the folders, private to the user whatever the umask. The root is left as it is when it was there."""
        if not self.root.exists():
            self.root.mkdir(mode=0o700, parents=True)
            self.root.chmod(0o700)
        for folder in self.layers, self.containers, self.volumes, self.boot, self.tmp, self.cache, self.state:
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)

    def layer_disk(self, layer: str) -> Path:
        """A layer's disk file."""
        return self.layer(layer) / f"disk.{self.suffix}"

    def layer(self, layer: str) -> Path:
        """A layer's folder."""
        return self.layers / layer

    def container(self, container: str) -> Path:
        """A container's folder."""
        return self.containers / container

    def container_disk(self, container: str) -> Path:
        """A container's writable disk."""
        return self.container(container) / f"disk.{self.suffix}"

    def volume(self, volume: str) -> Path:
        """A volume's folder."""
        return self.volumes / volume

    def volume_disk(self, volume: str) -> Path:
        """A volume's data disk."""
        return self.volume(volume) / "disk.raw"
