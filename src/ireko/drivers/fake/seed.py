"""The toy guest's side of the seed (docs/guest-interface.md): read from the seed disk, as a real guest does."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ireko.drivers.fake.sh.parser import parse
from ireko.drivers.fake.sh.syntax import ShellSyntaxError, Simple

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
            command=parse_command(texts[_COMMAND]) if _COMMAND in texts else None,
            mounts=tuple(_mounts(texts.get(_MOUNTS, ""))),
        )
    except (OSError, tarfile.TarError, ValueError, ShellSyntaxError) as error:
        raise NoSeed(f"the seed can't be read: {error}") from error


def parse_command(text: str) -> Command:
    """What the script sets: `workdir`, `user`, the arguments, and `environment`, itself a script of exports."""
    variables: dict[str, str] = {}
    argv: tuple[str, ...] = ()
    for command in _simple_commands(text):
        variables.update((name, value.fixed) for name, value in command.assignments)
        words = tuple(word.fixed for word in command.words)
        if words[:2] == ("set", "--"):
            argv = words[2:]
    exports = [word.fixed for each in _simple_commands(variables.get("environment", "")) for word in each.words[1:]]
    environment = {name: value for name, _, value in (each.partition("=") for each in exports)}
    return Command(argv, environment, variables.get("workdir", ""), variables.get("user", ""))


def _simple_commands(text: str) -> Iterator[Simple]:
    for chain in parse(text).chains:
        for _, pipeline in chain.links:
            for command in pipeline.commands:
                if not isinstance(command, Simple):
                    raise ShellSyntaxError("only assignments, set and export are allowed in a seed")
                yield command


def _mounts(text: str) -> Iterator[SeedMount]:
    for line in text.splitlines():
        if line:
            tag, path, mode = line.split("\t")
            yield SeedMount(tag, path, mode == "ro")


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode(errors="surrogateescape") if file else ""
