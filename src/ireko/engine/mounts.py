"""Volumes and host folders of a container: in use by whom, and copied in where they can't be shared."""

from __future__ import annotations

import contextlib
import errno
import tarfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from ireko.engine.context import Context
from ireko.errors import Conflict, Denied, NoSpace
from ireko.model.container import Container, Mount, MountKind


def volumes(container: Container) -> list[str]:
    """The names of the volumes that a container mounts."""
    return [mount.source for mount in container.spec.mounts if mount.kind is MountKind.VOLUME]


@contextlib.asynccontextmanager
async def held(context: Context, names: Iterable[str]) -> AsyncIterator[None]:
    """Hold volumes, so that nobody makes, takes or removes them meanwhile.

    It is done in one order: two who want some of the same never wait for each other.
    """
    async with contextlib.AsyncExitStack() as stack:
        for name in sorted(set(names)):
            await stack.enter_async_context(context.locks(f"volume {name}"))
        yield


def users(context: Context, volume: str) -> list[Container]:
    """The containers that mount a volume."""
    return [container for container in context.database.containers.values() if volume in volumes(container)]


def check_free(context: Context, container: Container) -> None:
    """A data disk with a file system bears one writer, or readers only. Raises Conflict naming who has it."""
    for mount in container.spec.mounts:
        if mount.kind is not MountKind.VOLUME:
            continue
        for other in users(context, mount.source):
            if other.id != container.id and other.status.has_machine and not _both_read(mount, other):
                raise Conflict(
                    f'the volume "{mount.source}" is in use by the container "{other.name}": '
                    "a volume is a disk, which one machine writes to at a time",
                    hint=f"ireko stop {other.name}, or mount it read-only in both with :ro",
                )


def _both_read(mount: Mount, other: Container) -> bool:
    theirs = [m for m in other.spec.mounts if m.kind is MountKind.VOLUME and m.source == mount.source]
    return mount.read_only and all(m.read_only for m in theirs)


def pack(context: Context, source: Path, target: str, archive: Path) -> None:
    """Write a host file or folder as the tar archive that the guest unpacks at its root. Raises NoSpace, Denied."""
    context.files.write(archive, b"")
    try:
        with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(source, target.lstrip("/"))
    except OSError as error:
        context.files.remove(archive)
        if error.errno == errno.ENOSPC:
            raise NoSpace(f'no space left to copy "{source}" for the guest', hint="ireko system df") from error
        raise Denied(f'the host path "{source}" can\'t be read: {error}') from error
