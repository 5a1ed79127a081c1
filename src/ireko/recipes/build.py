"""Following a recipe: packages in, a disk and what boots it out."""

from __future__ import annotations

from pathlib import Path

from ireko.host import process
from ireko.model.recipe import Built, Progress
from ireko.recipes import kernel as kernels
from ireko.recipes.filesystem import ext4
from ireko.recipes.initrd import BUSYBOX, make_initrd
from ireko.recipes.kernel import Modules
from ireko.recipes.packages import Archive
from ireko.recipes.recipe import Kind, Recipe
from ireko.recipes.system import System, system_disk
from ireko.recipes.tree import write_tree

_KERNEL = "linux-image-cloud-amd64"
# The console that people see, no waiting for what a virtual machine has not got, no slow messages. ireko: who boots it.
_APPEND = (
    "console=ttyS0 quiet ireko panic=-1 tsc=reliable no_timer_check nokaslr 8250.nr_uarts=1 rcupdate.rcu_expedited=1"
    # the kernel's ciphers were tested by who built it: without hardware acceleration that takes a quarter of a start
    " cryptomgr.notests"
)


async def build(recipe: Recipe, *, archive: Archive, workdir: Path, cache: Path, progress: Progress) -> Built:
    """Make a recipe's disk and boot files in `workdir`; `archive` has been refreshed, `cache` is as in `bootstrap`.

    The same packages give the same bytes. Raises InvalidInput, NotFound, ProgramMissing, ProgramFailed, NoSpace.
    """
    if recipe.kind is Kind.DEBIAN:
        system = await system_disk(recipe, archive=archive, workdir=workdir, cache=cache, progress=progress)
    else:
        system = await _busybox(recipe, archive, workdir, progress)
    progress("making the initrd", None, None)
    kernel, initrd, disk = (workdir / name for name in ("kernel", "initrd", "disk.qcow2"))
    await make_initrd(initrd, archive=archive, modules=Modules(system.modules), workdir=workdir)
    kernel.write_bytes(kernels.elf(system.vmlinuz.read_bytes()))
    progress("packing the disk", None, None)
    await process.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", system.disk, disk)
    system.disk.unlink()
    return Built(disk, recipe.config(), recipe.references, kernel, initrd, _APPEND)


async def _busybox(recipe: Recipe, archive: Archive, workdir: Path, progress: Progress) -> System:
    progress("fetching packages", None, None)
    name = await archive.meaning(_KERNEL)
    folders = await archive.unpack((name, BUSYBOX))
    progress("making the disk", None, None)
    tree, disk = workdir / "tree", workdir / "disk.raw"
    await write_tree(tree, folders[BUSYBOX] / "bin/busybox")
    await ext4(disk, tree=tree, capacity=recipe.capacity_bytes, seed=folders[name].name + folders[BUSYBOX].name)
    (modules,) = (folders[name] / "lib/modules").iterdir()
    (vmlinuz,) = (folders[name] / "boot").glob("vmlinuz-*")
    return System(disk, vmlinuz, modules)
