"""The toy guest's side of the seed (docs/guest-interface.md): read from the seed disk, as a real guest does."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COMMAND, _HOSTNAME, _STDIO, _MOUNTS = "command", "hostname", "stdio", "mounts"


class NoSeed(Exception):
    """The seed is missing or makes no sense."""


@dataclass(frozen=True)
class SeedMount:
    """A disk to mount, by its serial."""

    tag: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class Command:
    """The main process."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""


@dataclass(frozen=True)
class SeedContent:
    """What the guest was told. `command` None: the system way."""

    hostname: str
    stdio: str
    command: Command | None
    mounts: tuple[SeedMount, ...]


def read(path: Path) -> SeedContent:
    """Read a seed disk. Raises NoSeed."""
    try:
        with tarfile.open(path, "r:") as archive:
            texts = {member.name.removeprefix("./"): _text(archive, member) for member in archive if member.isfile()}
        return SeedContent(
            hostname=texts.get(_HOSTNAME, "").strip() or "localhost",
            stdio=texts.get(_STDIO, "").strip(),
            command=_command(texts),
            mounts=tuple(_mounts(texts.get(_MOUNTS, ""))),
        )
    except (OSError, tarfile.TarError, ValueError) as error:
        raise NoSeed(f"the seed can't be read: {error}") from error


def _command(texts: dict[str, str]) -> Command | None:
    if _COMMAND not in texts:
        return None
    entries = (entry.partition("=") for entry in _words(texts.get("environment", "")))
    return Command(
        argv=_words(texts[_COMMAND]),
        environment={name: value for name, _, value in entries},
        workdir=texts.get("workdir", "").removesuffix("\n"),
        user=texts.get("user", "").removesuffix("\n"),
    )


def _words(text: str) -> tuple[str, ...]:
    """What ends with a NUL each."""
    return tuple(text.split("\0")[:-1])


def _mounts(text: str) -> Iterator[SeedMount]:
    for line in text.splitlines():
        if line:
            tag, path, mode = line.split("\t")
            yield SeedMount(tag, path, mode == "ro")


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode(errors="surrogateescape") if file else ""
