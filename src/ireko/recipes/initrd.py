"""The first root file system of a guest: the agent, busybox, the SSH server and the modules that a virtual machine needs.

`docs/guest-interface.md` says what the agent finds in it. It is not compressed: unpacking costs a guest without hardware
acceleration more time than reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ireko.host import process
from ireko.recipes.agent import compile_agent
from ireko.recipes.cpio import Cpio
from ireko.recipes.kernel import Modules
from ireko.recipes.libraries import LOADER, needed
from ireko.recipes.packages import Archive

BUSYBOX = "busybox-static"
_SERVER = "dropbear-bin"
_SERVER_NEEDS = ("libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10", "zlib1g")
_WORDS = ("ireko-exec", "ireko-poweroff", "ireko-root", "ireko-shell", "ireko-signal")
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root-fs", "var/log", "var/run")
# what is loaded when; each list with what it depends on
_MODULES = {
    "drivers": ("virtio_pci", "virtio_blk", "virtio_console"),
    "network": ("virtio_net",),
    "shares": ("virtiofs",),
}
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/ireko-shell\n",
    "etc/group": "root:x:0:\ntty:x:5:\n",
    "etc/shells": "/bin/ireko-shell\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
}


async def make_initrd(target: Path, *, archive: Archive, modules: Modules, workdir: Path) -> None:
    """Write the initrd for a kernel's modules. Raises what the archive raises, NotFound, ProgramFailed."""
    agent = workdir / "agent"
    await compile_agent(archive, agent)
    busybox = (await archive.unpack((BUSYBOX,)))[BUSYBOX] / "bin/busybox"
    cpio = Cpio()
    for folder in _FOLDERS:
        cpio.folder(folder)
    cpio.folder("root", 0o700)
    cpio.character_device("dev/console", major=5, minor=1)
    cpio.character_device("dev/null", major=1, minor=3, mode=0o666)
    _add_agent(cpio, agent)
    _add_busybox(cpio, busybox, await applets(busybox))
    await _add_server(cpio, archive)
    _add_modules(cpio, modules)
    target.write_bytes(cpio.finish())


async def applets(busybox: Path) -> list[str]:
    """What a busybox can be called as."""
    return (await process.run(busybox, "--list")).stdout.decode().split()


def _add_agent(cpio: Cpio, agent: Path) -> None:
    cpio.file("init", agent.read_bytes(), 0o755)
    for word in _WORDS:
        cpio.link(f"bin/{word}", "/init")


def _add_busybox(cpio: Cpio, busybox: Path, names: Iterable[str]) -> None:
    cpio.file("bin/busybox", busybox.read_bytes(), 0o755)
    for name in names:
        if name != "busybox":
            cpio.link(f"bin/{name}", "busybox")


async def _add_server(cpio: Cpio, archive: Archive) -> None:
    folders = await archive.unpack((_SERVER, *_SERVER_NEEDS))
    server = folders[_SERVER] / "usr/sbin/dropbear"
    cpio.file("bin/dropbear", server.read_bytes(), 0o755)
    for name, path in needed(server, folders.values()).items():
        folder = "lib64" if name == LOADER else "lib/x86_64-linux-gnu"
        cpio.file(f"{folder}/{name}", path.read_bytes(), 0o755)
    for place, text in _TEXTS.items():
        cpio.file(place, text.encode())
    # the seed has the key that may log in
    cpio.link("root/.ssh", "/run/ireko/seed")


def _add_modules(cpio: Cpio, modules: Modules) -> None:
    present: list[str] = []
    for name, wanted in _MODULES.items():
        order = modules.with_dependencies(wanted)
        cpio.file(f"modules/{name}", "".join(f"{module}\n" for module in order).encode())
        for module in order:
            if module not in present:
                present.append(module)
                cpio.file(f"modules/{module}.ko", modules.content(module))
