"""What a container is as a machine without ireko: how it boots, what its guest is told, and what it had that is lost."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.partitions import Contents
from ireko.drivers.base import StandaloneSpec, Stdio
from ireko.engine import machines
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Network, Seed
from ireko.model.container import Container, MountKind, PortMapping, RestartName
from ireko.model.image import Image

DISK, KERNEL, INITRD, SEED = "disk", "kernel", "initrd", "seed.tar"
_LONGEST_HOSTNAME = 63


@dataclass(frozen=True)
class Choice:
    """What is decided about a machine elsewhere: its name, its disk, its folder, what its addresses follow from."""

    name: str
    disk_format: str
    sector_size: int
    place: Path
    identity: str


def spec(container: Container, image: Image, contents: Contents, choice: Choice) -> StandaloneSpec:
    """The machine; `contents` is what is on the container's disk."""
    boot = image.config.boot
    generation = _generation(image, contents)
    by_kernel = boot is not None and generation is None
    return StandaloneSpec(
        name=choice.name,
        disk=f"{DISK}.{choice.disk_format}",
        format=choice.disk_format,
        sector_size=choice.sector_size,
        cpus=container.cpus,
        memory=container.memory,
        generation=generation or image.config.generation,
        hardware=image.config.hardware,
        kernel=KERNEL if by_kernel else "",
        initrd=INITRD if by_kernel else "",
        append=boot.append if boot is not None and by_kernel else "",
        seed=SEED if by_kernel else "",
        stdio=Stdio.CONSOLE if container.system else Stdio.TTY,
        ports=tuple(port for port in _ports(container) if port.host_port),
        mac=machines.mac(choice.identity),
        origin=f'the container "{container.name}" of the image "{container.spec.image}"',
        place=choice.place,
    )


def _generation(image: Image, contents: Contents) -> int | None:
    """What firmware boots the disk: the image's where it is booted so already, else the kind that needs less; None for none."""
    if image.config.boot is None:
        return image.config.generation
    if contents.bios:
        return 1
    return 2 if contents.uefi else None


def seed(container: Container, machine: StandaloneSpec, *, identity: str) -> bytes:
    """What the guest is told that boots with a kernel: the container's command, on a terminal.

    Its keys are fresh ones, and nobody keeps the half that would open its channel.
    """
    process = container.process
    main = None if container.system else Main(process.argv, process.environment, process.workdir, process.user)
    return Seed(
        hostname=container.spec.hostname or machine.name[:_LONGEST_HOSTNAME],
        machine_id=machines.machine_id(identity),
        identity=Identity.create(),
        stdio=(Stdio.TTY if main else Stdio.CONSOLE).value,
        main=main,
        network=Network(machine.mac) if _has_network(container) else None,
    ).archive()


def losses(container: Container, machine: StandaloneSpec, contents: Contents) -> tuple[str, ...]:
    """What the container had and the machine hasn't, a sentence each; first whether anything starts it at all."""
    found = [*_never_started(machine, contents), *_lost_mounts(container), *_lost_ports(container)]
    if not machine.kernel:
        found += _lost_to_its_own_system(container)
    if container.spec.restart.name is not RestartName.NO:
        policy = container.spec.restart.name.value
        found.append(f'nothing starts the machine again when it ends: the restart policy "{policy}" stays behind')
    return tuple(found)


def _never_started(machine: StandaloneSpec, contents: Contents) -> Iterator[str]:
    if not machine.kernel and not (contents.bios if machine.generation == 1 else contents.uefi):
        firmware = "BIOS" if machine.generation == 1 else "UEFI"
        yield f"no {firmware} finds anything to start on the disk"


def _lost_mounts(container: Container) -> Iterator[str]:
    for mount in container.spec.mounts:
        noun = "volume" if mount.kind is MountKind.VOLUME else "host path"
        yield f'the {noun} "{mount.source}" is not part of the machine: {mount.target} shows what the disk has there'


def _lost_ports(container: Container) -> Iterator[str]:
    for port in _ports(container):
        if not port.host_port:
            yield f"the port {port.key} is not published: it was to get any free port of the host"


def _lost_to_its_own_system(container: Container) -> Iterator[str]:
    """What the disk's own system, that firmware starts, is not told."""
    if not container.system:
        yield f"the command is not run, as the machine starts its own system: {shlex.join(container.process.argv)}"
    if container.spec.hostname:
        yield f'the host name is the one in the machine\'s own files, not "{container.spec.hostname}"'
    if not _has_network(container):
        yield "the machine has a network, which the container had not"


def _ports(container: Container) -> tuple[PortMapping, ...]:
    return container.published if _has_network(container) else ()


def _has_network(container: Container) -> bool:
    return container.spec.network != "none"
