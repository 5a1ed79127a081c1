"""Machines that run without ireko, started by the script in their folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from tests.conftest import GuestImage, give_up
from tests.integration import tiny_system

from ireko.disk.chain import open_chain
from ireko.disk.operations.flatten import flatten
from ireko.drivers.base import StandaloneSpec
from ireko.drivers.qemu import firmware, standalone
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Network, Seed
from ireko.model.container import PortMapping
from ireko.model.image import MIB, Hardware

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

MAC = "52:54:00:12:34:56"
POWER_CUT = b"\x01x"


def machine(disk: Path, generation: int = 1, hardware: Hardware = Hardware.VIRTUAL) -> StandaloneSpec:
    """A machine that boots a disk by its firmware; the disk's folder is the machine's."""
    return StandaloneSpec(
        name='by itself, "入れ子"',
        disk=disk.name,
        format=disk.suffix.removeprefix("."),
        cpus=1,
        memory=512 * MIB,
        generation=generation,
        hardware=hardware,
        mac=MAC,
    )


@asynccontextmanager
async def started(
    spec: StandaloneSpec, folder: Path, *words: str, accelerator: str = "tcg"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The machine of a folder, as a user starts it from elsewhere."""
    standalone.write(spec, folder, accelerator="tcg")
    process = await asyncio.create_subprocess_exec(
        folder / standalone.START,
        *words,
        cwd="/",
        env={**os.environ, "ACCEL": accelerator},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()


async def said(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    """What the machine says until it has said this."""
    assert process.stdout is not None
    return await process.stdout.readuntil(text)


def types(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)


def converted(disk: Path, formats: list[str], folder: Path) -> Path:
    """The disk after it went through these formats, one after the other."""
    for number, name in enumerate(formats):
        previous, disk = disk, folder / f"disk{number}.{name}"
        flatten(previous, disk)
        if number:
            previous.unlink()
    return disk


@pytest.mark.parametrize("hardware", list(Hardware))
@pytest.mark.parametrize("name", ["raw", "qcow2", "vhdx", "vhd"])
async def test_every_format(name: str, hardware: Hardware, tmp_path: Path) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        give_up("QEMU is not installed: sudo apt-get install qemu-system-x86")
    disk = tmp_path / f"disk.{name}"
    tiny_system.install(disk)
    # the system speaks to a BIOS's screen, which is the serial console of a machine without graphics
    async with started(machine(disk, hardware=hardware), tmp_path, "-machine", "graphics=off") as process:
        await said(process, b">")
        types(process, b"a")
        await said(process, b"a")
        types(process, POWER_CUT)
        assert await process.wait() == 0
    with open_chain(disk) as chain:
        assert chain.view.read(tiny_system.SECTOR, tiny_system.SECTOR) == b"a" * tiny_system.SECTOR


async def test_a_command_on_a_terminal(nano_image: GuestImage, tmp_path: Path) -> None:
    disk = converted(nano_image.disk, ["vhdx"], tmp_path)
    for source, name in (nano_image.kernel, "kernel"), (nano_image.initrd, "initrd"):
        shutil.copy(source, tmp_path / name)
    main = Main(("sh", "-c", "echo hello from $HOSTNAME; read word; echo got $word; exit 7"))
    seed = Seed("box", "0" * 32, Identity.create(), "tty", main, Network(MAC))
    (tmp_path / "seed.tar").write_bytes(seed.archive())
    spec = replace(machine(disk), kernel="kernel", initrd="initrd", append=nano_image.append, seed="seed.tar")
    async with started(spec, tmp_path, accelerator="") as process:
        await said(process, b"hello from box\r\n")
        types(process, b"one\n")
        await said(process, b"got one\r\n")
        assert await process.wait() == 7


@pytest.mark.parametrize(
    ("generation", "formats"),
    [pytest.param(1, ["vhdx", "qcow2", "vhdx", "raw"], id="bios"), pytest.param(2, ["qcow2"], id="uefi")],
)
async def test_a_system_by_itself(
    generation: int, formats: list[str], debian_image: GuestImage, tmp_path: Path
) -> None:
    if generation == 2 and firmware.find() is None:
        give_up(f"there is no UEFI firmware: {firmware.PACKAGE_HINT}")
    disk = converted(debian_image.disk, formats, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spec = replace(machine(disk, generation), ports=(PortMapping(22, host_ip="127.0.0.1", host_port=port),))
    async with started(spec, tmp_path, "-monitor", "unix:monitor,server=on,wait=off") as process:
        await said(process, b"debian login: ")
        first = await _host_key(port)
        assert first == await _host_key(port)
        _, monitor = await asyncio.open_unix_connection(tmp_path / "monitor")
        monitor.write(b"system_powerdown\n")
        # a power button that works ends it
        assert await process.wait() == 0
        monitor.close()


async def _host_key(port: int) -> bytes:
    """The key that the system made; QEMU takes connections before the guest has an address, and ends them then."""
    while True:
        try:
            key = await asyncssh.get_server_host_key("127.0.0.1", port)
        except (ConnectionError, asyncssh.ConnectionLost):
            continue
        assert key is not None
        assert key.algorithm == b"ssh-ed25519"
        return key.export_public_key()
