"""Folders of the host that guests mount by virtiofs: one serving process for each, that ends with its machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ireko.drivers.base import Share
from ireko.drivers.qemu import files
from ireko.drivers.qemu.memory import Memory, boot_id
from ireko.drivers.qemu.process import Process, start_apart
from ireko.errors import IrekoError
from ireko.host import process

_PLACES = ("/usr/libexec", "/usr/lib/qemu")  # distributions keep it out of PATH
_FAREWELL = 2.0  # seconds
_PROBE_LIMIT = 30.0  # seconds; half of one is plenty, but what is found on a busy host is remembered
_MEMORY_NAME = "sharing.json"
_INSTALL = "sudo apt-get install virtiofsd (or the qemu-system-common of Debian 12)"


@dataclass(frozen=True)
class Sharing:
    """`program` serves folders; "" when that does not work here, and `reason` says why."""

    program: str
    reason: str = ""
    hint: str = ""


def start(share: Share, directory: Path, program: str) -> Process:
    """Serve a folder to the machine of `directory`; it waits for QEMU, and ends when QEMU hangs up. Raises OSError."""
    with (
        files.listen(directory / files.share_socket(share.tag)) as listener,
        (directory / f"{share.tag}.log").open("wb") as said,
    ):
        return start_apart(
            _arguments(program, listener.fileno(), share.path), cwd=directory, output=said, keep=(listener.fileno(),)
        )


def _arguments(program: str, descriptor: int, folder: Path) -> list[str]:
    if "/qemu/" in program:  # the one written in C that came with QEMU up to 7.2
        return [program, f"--fd={descriptor}", "-o", f"source={folder}", "-o", "cache=auto", "-o", "log_level=warn"]
    return [program, f"--fd={descriptor}", f"--shared-dir={folder}", "--cache=auto", "--log-level=warn"]


async def end(servers: Sequence[Process]) -> None:
    """See that the processes of a machine that has ended are gone."""
    for server in servers:
        await server.wait_or_kill(_FAREWELL)
        server.close()


async def choose(program: str, version: str, *, state: Path) -> Sharing:
    """What `probe` finds; remembered in the folder `state` for as long as the programs and the host stay the same."""
    host = f"{version}|{_find()}|{boot_id()}|{os.geteuid()}"
    return await Memory(state / _MEMORY_NAME, Sharing).recall(host, lambda: probe(program))


async def probe(program: str) -> Sharing:
    """Whether folders can be shared here: a machine without a processor takes one up."""
    server = _find()
    if not server:
        return Sharing("", "virtiofsd is not installed", _INSTALL)
    if "/qemu/" in server and os.geteuid() != 0:
        return Sharing("", f'"{server}" needs root', "install the newer virtiofsd, that does not")
    with tempfile.TemporaryDirectory(prefix="ireko-share-") as folder:
        directory = Path(folder)
        shared = directory / "shared"
        shared.mkdir()
        serving = start(Share("fs-probe", shared), directory, server)
        try:
            await process.run(*_probe_arguments(program), cwd=directory, input=_PROBE_INPUT, timeout=_PROBE_LIMIT)
        except IrekoError as error:
            return Sharing("", f"virtiofs does not work here: {error.message}", "ireko doctor")
        finally:
            await end([serving])
    return Sharing(server)


_PROBE_INPUT = b'{"execute":"qmp_capabilities"}{"execute":"quit"}'


def _probe_arguments(program: str) -> tuple[str, ...]:
    return (
        *(program, "-machine", "q35,memory-backend=memory", "-accel", "tcg", "-m", "32M", "-S"),
        *("-object", "memory-backend-memfd,id=memory,size=32M,share=on"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"),
        *("-chardev", f"socket,id=fs-probe,path={files.share_socket('fs-probe')}"),
        *("-device", "vhost-user-fs-pci,chardev=fs-probe,tag=fs-probe"),
    )


def _find() -> str:
    return shutil.which("virtiofsd") or shutil.which("virtiofsd", path=os.pathsep.join(_PLACES)) or ""
