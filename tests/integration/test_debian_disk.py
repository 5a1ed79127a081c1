"""The debian image on a real machine, as a container; test_standalone.py has it by itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from tests.conftest import GuestImage

from ireko.drivers.base import Command, Disk, Machine, MachineSpec, Stdio, Stream
from ireko.guest.identity import Identity, public_openssh
from ireko.guest.seed import Network, Seed
from ireko.model.container import PortMapping
from ireko.model.image import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

MAC = "52:54:00:12:34:56"
MACHINE_ID = "0123456789abcdef" * 2


def layer(image: GuestImage, folder: Path) -> Path:
    from ireko.drivers.qemu import QemuDriver

    disk = folder / "disk.qcow2"
    disks = QemuDriver(folder).disks
    disks.create(disk, parent=image.disk, capacity=disks.capacity(image.disk))
    return disk


@asynccontextmanager
async def container(image: GuestImage, folder: Path, state: Path, identity: Identity) -> AsyncIterator[Machine]:
    from ireko.drivers.qemu import QemuDriver

    driver = QemuDriver(state)
    await driver.open()
    identity.save(folder)
    seed = Seed("web", MACHINE_ID, identity, "console", network=Network(MAC))
    (folder / "seed.tar").write_bytes(seed.archive())
    machine = await driver.start(
        MachineSpec(
            id=secrets.token_hex(32),
            name="web",
            directory=folder,
            cpus=1,
            memory=512 * MIB,
            disks=(
                Disk("root", layer(image, folder), "qcow2"),
                Disk("seed", folder / "seed.tar", "raw", read_only=True),
            ),
            stdio=Stdio.CONSOLE,
            kernel=image.kernel,
            initrd=image.initrd,
            append=image.append,
            ports=(PortMapping(22, host_ip="127.0.0.1"),),
            mac=MAC,
        )
    )
    try:
        yield machine
    finally:
        await machine.power_off()
        await machine.close()
        await driver.close()


async def said(machine: Machine, script: str) -> str:
    process = await machine.guest.run(Command(("/bin/sh", "-c", script)))
    output = b"".join([data async for stream, data in process.output() if stream is Stream.STDOUT])
    await process.wait()
    await process.close()
    return output.decode()


async def test_as_a_container(debian_image: GuestImage, tmp_path: Path, test_cache: Path) -> None:
    identity = Identity.create()
    async with container(debian_image, tmp_path, test_cache / "state", identity) as machine:
        await _prompt(machine)
        # what has failed, if something has
        assert await said(machine, "systemctl is-system-running --wait; systemctl --failed --plain -q") == "running\n"
        assert await said(machine, "cat /etc/hostname /etc/machine-id /etc/resolv.conf") == (
            f"web\n{MACHINE_ID}\nnameserver 10.0.2.3\n"
        )
        assert "10.0.2.15/24" in await said(machine, "ip -br address show eth0")
        assert int(await said(machine, "df --output=used -m / | tail -n 1")) < 450
        for program in "ps", "bash", "ip", "update-ca-certificates", "apt-get":
            assert await said(machine, f"command -v {program}"), program
        key = await asyncssh.get_server_host_key("127.0.0.1", machine.ports[0].host_port)
        assert key is not None
        assert key.export_public_key().split()[:2] == public_openssh(identity.host).encode().split()[:2]
        await machine.request_power_off()
        ended = await machine.ended()
        assert ended.clean


async def _prompt(machine: Machine) -> None:
    """Wait until the console shows a shell."""
    grown = asyncio.Event()
    stop = machine.watch_outputs(grown.set)
    try:
        while b"root@web:~# " not in machine.outputs[0][1].read_bytes():
            await grown.wait()
            grown.clear()
    finally:
        stop()
