"""A container as a machine without ireko: how it boots, what its guest is told, what is lost."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ireko.disk.partitions import Contents
from ireko.engine import standalone
from ireko.engine.standalone import Choice
from ireko.model.container import (
    Container,
    ContainerSpec,
    Mount,
    MountKind,
    PortMapping,
    Process,
    RestartName,
    RestartPolicy,
)
from ireko.model.image import Boot, Hardware, Image, ImageConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHOICE = Choice("web", "qcow2", 512, Path("/srv/web"), "x")
KERNEL = ImageConfig(boot=Boot("ab", "console=ttyS0 ireko"))
COMMAND = Process(("httpd", "-f", "-h", "/my srv"), ("A=b",), "/srv", "www")
SYSTEM = Process((), (), "", "")


def container(process: Process = COMMAND, published: tuple[PortMapping, ...] = (), **spec: object) -> Container:
    asked = ContainerSpec(image="nano", **spec)  # type: ignore[arg-type]
    return Container(
        "1" * 64, "box", "sha256:1", "2" * 64, asked, process, 2, 1 << 28, 10, created=NOW, published=published
    )


def image(config: ImageConfig) -> Image:
    return Image("sha256:1", ("2" * 64,), config, NOW)


def contents(*, bios: bool = False, uefi: bool = False) -> Contents:
    return Contents("none", 512, (), bios, uefi, "linux")


@pytest.mark.parametrize(
    ("config", "found", "generation", "by_kernel"),
    [
        (KERNEL, contents(), 2, True),
        (KERNEL, contents(bios=True), 1, False),
        (KERNEL, contents(uefi=True), 2, False),
        (KERNEL, contents(bios=True, uefi=True), 1, False),
        (ImageConfig(generation=2), contents(bios=True, uefi=True), 2, False),
        (ImageConfig(generation=1), contents(bios=True, uefi=True), 1, False),
        (ImageConfig(generation=1), contents(), 1, False),  # it ran so as a container
    ],
)
def test_what_boots_it(config: ImageConfig, found: Contents, generation: int, *, by_kernel: bool) -> None:
    machine = standalone.spec(container(), image(config), found, CHOICE)
    assert (machine.generation, bool(machine.kernel)) == (generation, by_kernel)
    kernel = ("kernel", "initrd", "console=ttyS0 ireko", "seed.tar")
    assert (machine.kernel, machine.initrd, machine.append, machine.seed) == (kernel if by_kernel else ("",) * 4)


def test_the_machine_is_as_large_as_the_container() -> None:
    ports = (PortMapping(80, host_port=8080), PortMapping(81))
    config = replace(KERNEL, hardware=Hardware.COMMON)
    machine = standalone.spec(container(published=ports), image(config), contents(), CHOICE)
    assert (machine.name, machine.disk, machine.format, machine.place) == ("web", "disk.qcow2", "qcow2", CHOICE.place)
    assert (machine.cpus, machine.memory, machine.hardware) == (2, 1 << 28, Hardware.COMMON)
    assert machine.ports == (PortMapping(80, host_port=8080),)
    assert machine.mac.startswith("52:54:00:")


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def test_the_guest_is_told_the_command_and_gets_fresh_keys() -> None:
    box = container(hostname="box")
    machine = standalone.spec(box, image(KERNEL), contents(), CHOICE)
    first, second = (unpacked(standalone.seed(box, machine, identity="x")) for _ in range(2))
    assert (first["command"], first["environment"]) == (b"httpd\0-f\0-h\0/my srv\0", b"A=b\0")
    assert (first["workdir"], first["user"], first["stdio"]) == (b"/srv\n", b"www\n", b"tty\n")
    assert (first["hostname"], first["mounts"]) == (b"box\n", b"")
    assert machine.mac.encode() in first["network"]
    assert first["host_key_openssh"] != second["host_key_openssh"]
    assert first["authorized_keys"] != second["authorized_keys"]


def test_its_name_is_its_host_s_name_where_none_was_given() -> None:
    box = container(SYSTEM, network="none")
    machine = standalone.spec(box, image(KERNEL), contents(), replace(CHOICE, name="w" * 70))
    found = unpacked(standalone.seed(box, machine, identity="x"))
    assert (found["hostname"], found["stdio"], found["network"]) == (b"w" * 63 + b"\n", b"console\n", b"")
    assert "command" not in found


def lost(box: Container, *, bios: bool = False) -> list[str]:
    found = contents(bios=bios)
    return list(standalone.losses(box, standalone.spec(box, image(KERNEL), found, CHOICE), found))


@pytest.mark.parametrize(("generation", "firmware"), [(1, "BIOS"), (2, "UEFI")])
def test_a_disk_that_nothing_starts_is_told_of(generation: int, firmware: str) -> None:
    box = container(SYSTEM)
    for found in (contents(), contents(bios=True), contents(uefi=True)):
        machine = standalone.spec(box, image(ImageConfig(generation=generation)), found, CHOICE)
        starts = found.bios if generation == 1 else found.uefi
        wanted = () if starts else (f"no {firmware} finds anything to start on the disk",)
        assert standalone.losses(box, machine, found) == wanted


def test_nothing_is_lost_of_what_goes_along() -> None:
    box = container(hostname="box", published=(PortMapping(80, host_port=8080),))
    assert lost(box) == []
    assert lost(container(SYSTEM), bios=True) == []


def test_what_is_lost_is_told() -> None:
    mounts = (Mount(MountKind.VOLUME, "data", "/data"), Mount(MountKind.BIND, "/home/me", "/srv"))
    policy = RestartPolicy(RestartName.ALWAYS)
    box = container(mounts=mounts, restart=policy, published=(PortMapping(80),))
    assert lost(box) == [
        'the volume "data" is not part of the machine: /data shows what the disk has there',
        'the host path "/home/me" is not part of the machine: /srv shows what the disk has there',
        "the port 80/tcp is not published: it was to get any free port of the host",
        'nothing starts the machine again when it ends: the restart policy "always" stays behind',
    ]


def test_what_is_lost_to_a_system_that_starts_by_itself() -> None:
    box = container(hostname="box", network="none", published=(PortMapping(80),))
    assert lost(box, bios=True) == [
        "the command is not run, as the machine starts its own system: httpd -f -h '/my srv'",
        'the host name is the one in the machine\'s own files, not "box"',
        "the machine has a network, which the container had not",
    ]
