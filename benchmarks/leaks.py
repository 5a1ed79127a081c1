"""What a daemon and its machines hold: to be compared before and after."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, fields

from benchmarks import processes
from benchmarks.daemon import Daemon

_NOT_COUNTED = {"cache", "ireko.db", "ireko.db-wal", "ireko.db-shm", "daemon.log"}
_SETTLING = 5.0  # seconds; a connection that a client has closed is closed by the daemon a moment later


@dataclass(frozen=True)
class Held:
    """Numbers: processes (the daemon and all that run in its root), its open files and sockets, listening ports, files."""

    processes: int
    descriptors: int
    sockets: int
    ports: int
    files: int

    @classmethod
    def by(cls, daemon: Daemon) -> Held:
        """What is held now."""
        pids = {daemon.process.pid, *processes.inside(daemon.root)}
        own = processes.opened(daemon.process.pid)
        sockets = {target for pid in pids for target in processes.opened(pid) if target.startswith("socket:")}
        return cls(
            processes=len(pids),
            descriptors=len(own),
            sockets=sum(target.startswith("socket:") for target in own),
            ports=sum(f"socket:[{inode}]" in sockets for inode in processes.listening()),
            files=sum(
                1 for path in daemon.root.rglob("*") if path.relative_to(daemon.root).parts[0] not in _NOT_COUNTED
            ),
        )

    def beyond(self, before: Held) -> int:
        """How much more there is than before, all kinds together."""
        return sum(max(0, now - then) for now, then in zip(astuple(self), astuple(before), strict=True))

    def compared_with(self, before: Held) -> str:
        """Each number before and now."""
        return ", ".join(f"{f.name} {getattr(before, f.name)} -> {getattr(self, f.name)}" for f in fields(self))


def settled(daemon: Daemon, before: Held) -> Held:
    """What is held when nothing more than before is, or when waiting for that has been given up."""
    end = time.monotonic() + _SETTLING
    while (held := Held.by(daemon)).beyond(before) and time.monotonic() < end:
        time.sleep(0.05)  # nothing tells when a kernel object is gone
    return held
