"""What a container inherits from its image, worked out once, when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ireko.errors import InvalidInput
from ireko.model.container import ContainerSpec, Mount, MountKind, PortMapping, Process
from ireko.model.image import FIRMWARE, MIB, Image

SMALLEST_MEMORY = 64 * MIB
_LARGEST_MEMORY = (1 << 63) - 1
"""What docker's clients can read."""
DEFAULT_STOP_TIMEOUT = 10
_LONGEST_HOSTNAME = 63


def check(spec: ContainerSpec) -> None:
    """Raises InvalidInput for what no machine could be."""
    check_size(spec.cpus, spec.memory)
    if len(spec.hostname) > _LONGEST_HOSTNAME or any(letter.isspace() or letter == "/" for letter in spec.hostname):
        raise InvalidInput(f'invalid hostname "{spec.hostname}": at most 63 letters, digits and dashes')
    _check_paths(spec)
    for entry in spec.environment:
        if not entry or entry.startswith("=") or "\0" in entry:
            raise InvalidInput(f'invalid environment variable "{entry}": it is written NAME=value')
    for word in (*(spec.command or ()), *(spec.entrypoint or ())):
        if "\0" in word:
            raise InvalidInput("the command has a NUL character")


def check_size(cpus: float, memory: int) -> None:
    """Raises InvalidInput for processors or memory (bytes) that no machine could have; 0 is what is usual."""
    if memory and memory < SMALLEST_MEMORY:
        raise InvalidInput(
            f"the memory limit is {memory} bytes: a machine needs at least {SMALLEST_MEMORY // MIB}MB",
            hint="for example -m 256m",
        )
    if memory > _LARGEST_MEMORY:
        raise InvalidInput(f"the memory limit is {memory} bytes: no machine has more than {_LARGEST_MEMORY}")
    if not math.isfinite(cpus) or cpus < 0:
        raise InvalidInput(f'the number of CPUs is "{cpus}": it must be a positive number')


def _check_paths(spec: ContainerSpec) -> None:
    if spec.workdir and not spec.workdir.startswith("/"):
        raise InvalidInput(f'the working directory "{spec.workdir}" is invalid, it needs to be an absolute path')
    seen: set[str] = set()
    for mount in spec.mounts:
        _check_target(mount)
        if mount.target in seen:
            raise InvalidInput(f"Duplicate mount point: {mount.target}")
        seen.add(mount.target)


def _check_target(mount: Mount) -> None:
    if not mount.target.startswith("/") or mount.target.strip("/") == "":
        raise InvalidInput(
            f'invalid volume specification: "{mount.source}:{mount.target}": '
            "the guest's path must be absolute and not '/'"
        )
    if any(letter in mount.target for letter in "\n\t\0"):
        raise InvalidInput(f"the guest's path {mount.target!r} has a control character")


def process(spec: ContainerSpec, image: Image) -> Process:
    """The main process: docker's rules for entrypoint and command. Raises InvalidInput when there is none."""
    config = image.config
    if spec.entrypoint is not None:
        argv = (*spec.entrypoint, *(spec.command or ()))
    else:
        argv = (*config.entrypoint, *(spec.command or config.command))
    if not argv and config.init is None:
        raise InvalidInput("No command specified", hint="write one behind the image's name")
    if argv and config.init == FIRMWARE:
        raise InvalidInput(
            f'no command can be given to "{spec.image}": its machines boot from their own disk, into their own system',
            hint=f"ireko run -d {spec.image}",
        )
    return Process(
        argv=argv,
        environment=merge_environment(config.environment, spec.environment),
        workdir=spec.workdir or config.workdir,
        user=spec.user or config.user,
    )


def merge_environment(*sources: Iterable[str]) -> tuple[str, ...]:
    """Later NAME=value entries replace earlier ones of the same name; a bare NAME takes it away."""
    merged: dict[str, str] = {}
    for entry in (entry for source in sources for entry in source):
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    return tuple(merged.values())


def ports(spec: ContainerSpec, image: Image) -> tuple[PortMapping, ...]:
    """What to publish: the mappings asked for and, with publish_all, every exposed port on a free one."""
    wanted = list(spec.ports)
    if spec.publish_all:
        published = {mapping.key for mapping in wanted}
        for exposed in dict.fromkeys((*image.config.exposed_ports, *spec.exposed_ports)):
            number, _, protocol = exposed.partition("/")
            if f"{number}/{protocol or 'tcp'}" not in published:
                wanted.append(PortMapping(port=int(number), protocol=protocol or "tcp"))
    return tuple(wanted)


def mounts(spec: ContainerSpec, image: Image) -> tuple[Mount, ...]:
    """The mounts asked for, and a volume without a name for each path the image declares."""
    targets = {mount.target for mount in spec.mounts}
    declared = (Mount(MountKind.VOLUME, "", target) for target in image.config.volumes if target not in targets)
    return (*spec.mounts, *declared)
