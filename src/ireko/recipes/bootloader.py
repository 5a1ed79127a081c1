"""What boots the disk when nobody hands a kernel in: systemd-boot for UEFI, GRUB for a BIOS.

Both read the EFI system partition: https://uapi-group.org/specifications/specs/boot_loader_specification/ says how systemd-boot
does. Nothing is installed for this: the loaders come out of their packages, and GRUB's own program puts its image together.
"""

from __future__ import annotations

import os
import struct
import uuid
from pathlib import Path

from ireko.disk.partition_tables import BOOT_CODE
from ireko.errors import NotFound
from ireko.host import process
from ireko.recipes.filesystem import MOMENT
from ireko.recipes.libraries import LOADER, needed
from ireko.recipes.packages import Archive
from ireko.recipes.partitions import SECTOR

_MIB = 1 << 20
_UEFI_PACKAGE, _BIOS_PACKAGE, _GRUB_PACKAGE = "systemd-boot-efi", "grub-pc-bin", "grub-common"
_GRUB_NEEDS = ("libc6", "liblzma5", "libdevmapper1.02.1", "libselinux1", "libudev1", "libpcre2-8-0")
_MODULES = ("biosdisk", "part_gpt", "fat", "linux", "normal")
_ESP_PARTITION = 2
# no_timer_check: on a host that is busy a guest without hardware acceleration finds its timer too slow, and gives up
_COMMAND_LINE = "root=PARTLABEL=root rw console=tty0 console=ttyS0,115200 quiet systemd.show_status=0 no_timer_check"
_TEXTS = {
    "loader/loader.conf": "timeout 0\ndefault debian.conf\n",
    "loader/entries/debian.conf": "title Debian\nlinux /linux/vmlinuz\ninitrd /linux/initrd\noptions {command_line}\n",
    "grub/grub.cfg": "linux /linux/vmlinuz {command_line}\ninitrd /linux/initrd\nboot\n",
}
# where GRUB's first two programs keep the number of the sector that the next one begins at: boot.S, diskboot.S
_NEXT_IN_BOOT, _NEXT_IN_CORE = 0x5C, 0x1F4


async def make_esp(
    path: Path, *, size: int, kernel: Path, initrd: Path, archive: Archive, workdir: Path, seed: str
) -> None:
    """Make the file `path`, a FAT file system of `size` bytes with the loaders' files, a kernel and its initrd.

    Raises what the archive raises; NoSpace never: what does not fit is a ProgramFailed of mcopy.
    """
    loader = (await archive.unpack((_UEFI_PACKAGE,)))[_UEFI_PACKAGE] / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    tree = workdir / "esp"
    for name, source in ("EFI/BOOT/BOOTX64.EFI", loader), ("linux/vmlinuz", kernel), ("linux/initrd", initrd):
        _write(tree / name, source.read_bytes())
    for name, text in _TEXTS.items():
        _write(tree / name, text.format(command_line=_COMMAND_LINE).encode())
    for each in (tree, *tree.rglob("*")):
        os.utime(each, (MOMENT, MOMENT))
    with path.open("xb") as file:
        file.truncate(size)
    serial = uuid.uuid5(uuid.NAMESPACE_OID, f"esp {seed}").hex[:8]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(MOMENT),
        "MTOOLSRC": os.devnull,
    }
    geometry = ("-T", str(size // SECTOR), "-h", "255", "-s", "63")
    await process.run("mformat", "-i", path, "-F", "-v", "ESP", "-N", serial, *geometry, "::", env=environment)
    await process.run("mcopy", "-i", path, "-s", "-m", *sorted(tree.iterdir()), "::", env=environment)


async def make_core(path: Path, *, archive: Archive, workdir: Path) -> Path:
    """Make the file `path` with GRUB's image for a BIOS, whose place is a partition of its own; the boot sector's program for it.

    Raises what the archive raises, ProgramFailed.
    """
    folders = await archive.unpack((_BIOS_PACKAGE, _GRUB_PACKAGE, *_GRUB_NEEDS))
    parts = folders[_BIOS_PACKAGE] / "usr/lib/grub/i386-pc"
    program = folders[_GRUB_PACKAGE] / "usr/bin/grub-mkimage"
    libraries = workdir / "grub-libraries"
    libraries.mkdir()
    for name, library in needed(program, folders.values()).items():
        (libraries / name).symlink_to(library.resolve())
    await process.run(
        # by the loader of its own C library: the host may have another one
        *(libraries / LOADER, "--library-path", libraries, program),
        *("--format", "i386-pc", "--directory", parts, "--prefix", f"(,gpt{_ESP_PARTITION})/grub"),
        *("--output", path, *_MODULES),
    )
    return parts / "boot.img"


def install_core(disk: Path, *, boot: Path, core: Path, start: int) -> None:
    """Write GRUB's programs: `boot` into the disk's first sector, `core` to where its partition starts (in bytes).

    Raises OSError.
    """
    first, second = bytearray(boot.read_bytes()), bytearray(core.read_bytes())
    struct.pack_into("<Q", first, _NEXT_IN_BOOT, start // SECTOR)
    struct.pack_into("<Q", second, _NEXT_IN_CORE, start // SECTOR + 1)
    with disk.open("r+b") as file:
        file.write(first[:BOOT_CODE])
        file.seek(start)
        file.write(second)


def newest(paths: list[Path], what: str) -> Path:
    """The one that sorts last. Raises NotFound when there is none."""
    if not paths:
        raise NotFound(
            f"the root file system has no {what}", hint="add linux-image-cloud-amd64 to the recipe's packages"
        )
    return max(paths)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
