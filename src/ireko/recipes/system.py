"""A Debian system on a disk: it boots by itself from a BIOS or UEFI, and with a kernel that is handed in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.partition_tables import BIOS_BOOT, EFI_SYSTEM, LINUX_ROOT
from ireko.model.recipe import Progress
from ireko.recipes import partitions, rootfiles
from ireko.recipes.bootloader import install_core, make_core, make_esp, newest
from ireko.recipes.bootstrap import Selection, bootstrap
from ireko.recipes.filesystem import write_ext4
from ireko.recipes.packages import Archive
from ireko.recipes.partitions import Partition
from ireko.recipes.recipe import Recipe
from ireko.recipes.rootfiles import Files
from ireko.recipes.tuning import tune

_MIB = 1 << 20
_BIOS_BOOT_SIZE, _ESP_SIZE = _MIB, 96 * _MIB
# for the initrd that Debian makes: disks of QEMU and Hyper-V, nothing else
_EARLY_FILES = {
    "/etc/initramfs-tools/conf.d/ireko": "MODULES=list\nCOMPRESS=gzip\n",
    "/etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\nvirtio_scsi\nhv_vmbus\nhv_storvsc\nsd_mod\n",
}


@dataclass(frozen=True)
class System:
    """A disk, raw, and the kernel that belongs to it: `vmlinuz` as Debian packs it, `modules` its `lib/modules/VERSION`."""

    disk: Path
    vmlinuz: Path
    modules: Path


async def system_disk(recipe: Recipe, *, archive: Archive, workdir: Path, cache: Path, progress: Progress) -> System:
    """Make the disk of a recipe of Kind.DEBIAN in `workdir`; `archive` has been refreshed.

    It is a sparse raw file with a partition table: GRUB's own partition, the EFI system partition `esp`, and the root file
    system `root`, that takes the rest. The same packages and the same recipe give the same bytes. Nobody needs to be root.
    Raises InvalidInput, NotFound, NoSpace, ProgramMissing, ProgramFailed.
    """
    packed = await bootstrap(_selection(recipe, archive), cache=cache, progress=progress)
    progress("unpacking the root file system", None, None)
    tree, disk = workdir / "root", workdir / "disk.raw"
    files = await asyncio.to_thread(rootfiles.unpack, packed, tree)
    tune(files, workdir / "files")
    system = System(
        disk,
        newest([*tree.glob("boot/vmlinuz-*")], "kernel"),
        newest([*tree.glob("usr/lib/modules/*")], "kernel modules"),
    )
    progress("making the disk", None, None)
    await _assemble(system, files, recipe.capacity_bytes, archive, workdir, seed=packed.stem)
    return system


def _selection(recipe: Recipe, archive: Archive) -> Selection:
    return Selection(
        suite=recipe.suite,
        state=archive.state(),
        packages=recipe.packages,
        commands=recipe.commands,
        files=_EARLY_FILES,
    )


async def _assemble(system: System, files: Files, capacity: int, archive: Archive, workdir: Path, *, seed: str) -> None:
    root, esp, core = (workdir / name for name in ("root.ext4", "esp.fat", "core.img"))
    first = [
        Partition("bios", BIOS_BOOT, _BIOS_BOOT_SIZE),
        Partition("esp", EFI_SYSTEM, _ESP_SIZE, esp),
    ]
    size = partitions.room(capacity, first)
    boot = await make_core(core, archive=archive, workdir=workdir)
    initrd = newest([*system.vmlinuz.parent.glob("initrd.img-*")], "initrd")
    await make_esp(
        esp, size=_ESP_SIZE, kernel=system.vmlinuz, initrd=initrd, archive=archive, workdir=workdir, seed=seed
    )
    await write_ext4(root, entries=rootfiles.in_order(files), capacity=size, seed=seed)
    table = [*first, Partition("root", LINUX_ROOT, size, root)]
    await asyncio.to_thread(partitions.write_disk, system.disk, capacity=capacity, partitions=table, seed=seed)
    install_core(system.disk, boot=boot, core=core, start=partitions.starts(table)[0])
    for path in root, esp:
        path.unlink()
