"""Recipes for images that the fake driver can run: the built-in ones' names, made in no time."""

from __future__ import annotations

import stat
from pathlib import Path

from ireko.drivers.fake import content
from ireko.drivers.fake.content import Files, Node
from ireko.drivers.fake.disks import FORMAT, new_layer, write_disk
from ireko.errors import NotFound
from ireko.model.image import GIB, MIB, ImageConfig
from ireko.model.names import Reference
from ireko.model.recipe import Built, Progress, RecipeSummary

_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var")
_MADE = 1_704_067_200  # the first second of 2024: what a container changes is newer
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"


_NANO = RecipeSummary("nano", "a toy guest that runs one command", (Reference("nano"),))
_DEBIAN = RecipeSummary("debian", "a toy guest that runs a system", (Reference("debian"), Reference("debian", "12")))
_CONFIGS = {
    "nano": ImageConfig(command=("/bin/sh",), memory=128 * MIB),
    "debian": ImageConfig(init="/sbin/init", memory=512 * MIB),
}


class FakeBook:
    """The recipes `nano` and `debian`."""

    def summaries(self) -> list[RecipeSummary]:
        """The built-in recipes."""
        return [_NANO, _DEBIAN]

    async def build(
        self,
        name: str,
        source: str | None,
        *,
        workdir: Path,
        cache: Path,
        progress: Progress,
    ) -> Built:
        """Make a base disk with a few files, and a kernel that is none. Raises NotFound."""
        del source, cache
        summary = next((each for each in self.summaries() if each.name == name), None)
        if summary is None:
            raise NotFound(f'there is no recipe "{name}"', hint="known: nano, debian")
        progress("disk", 0, 1)
        disk = base_disk(workdir / f"disk.{FORMAT}", name)
        kernel, initrd = workdir / "kernel", workdir / "initrd"
        kernel.write_bytes(b"fake kernel")
        initrd.write_bytes(b"fake initrd")
        progress("disk", 1, 1)
        return Built(disk, _CONFIGS[name], summary.references, kernel, initrd, "console=ttyS0")


def base_disk(path: Path, name: str = "nano") -> Path:
    """Write a disk with the files that programs expect anywhere."""
    texts = {"passwd": _USERS, "hostname": f"{name}\n", "os-release": f'ID={name}\nPRETTY_NAME="toy {name}"\n'}
    files: Files = {f"/{each}": Node("folder", stat.S_IFDIR | 0o755, _MADE) for each in ("", *_FOLDERS)}
    for each, text in texts.items():
        files[f"/etc/{each}"] = Node("file", stat.S_IFREG | 0o644, _MADE, data=text.encode())
    write_disk(path, new_layer(GIB), content.encode(files, GIB))
    return path
