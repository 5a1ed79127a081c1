"""From a container to its machine: the checked chain, the seed, the spec."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ireko.drivers.base import Disk, MachineSpec, Share, Stdio
from ireko.engine import linked, lookup, mounts, specs
from ireko.engine.context import Context
from ireko.errors import Damaged, Unsupported
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Network, Seed, SeedMount
from ireko.model.container import Container, ContainerSpec, Mount, MountKind, Process
from ireko.model.image import SECTOR, Image, Layer
from ireko.model.names import short

SEED = "seed.tar"
_WRITABLE = 0o222


def chain(context: Context, layer_id: str | None) -> Iterator[Layer]:
    """A layer and its ancestors. Raises Damaged when a record is missing."""
    while layer_id is not None:
        layer = lookup.layer(context.database, layer_id)
        yield layer
        layer_id = layer.parent


def check_chain(context: Context, layer_id: str) -> None:
    """Raises Damaged, with the layer's name and the remedy, when a parent is missing, not what it was, or writable.

    Conflict when somebody else's disk that it is linked to is in use.
    """
    for layer in chain(context, layer_id):
        check_sealed(context, layer)
        check_read_only(context, layer)
        check_linked(context, layer)


def check_sealed(context: Context, layer: Layer) -> None:
    """Raises Damaged when a layer's file is missing, or not what it was when it was sealed."""
    path = context.paths.layer_disk(layer.id)
    try:
        found = context.driver.disks.identify(path)
    except Damaged as error:
        raise Damaged(
            f"{_noun(context, layer)} can't be used: {error.message}",
            details=error.details,
            hint=f'put "{path}" back from a backup, or make the image anew and recreate the container',
        ) from error
    if found != layer.identity:
        raise Damaged(
            f"{_noun(context, layer)} was changed after it was sealed: "
            f'its identity is "{found}", it was "{layer.identity}"',
            hint=f'something wrote to "{path}": put it back from a backup, or make the image anew',
        )


def check_linked(context: Context, layer: Layer) -> None:
    """Raises Damaged when a disk that a layer is linked to is missing or was changed, Conflict when it is in use."""
    for each in layer.linked:
        linked.check(each, _noun(context, layer))


def check_read_only(context: Context, layer: Layer) -> None:
    """Raises Damaged when a layer's file can be written to."""
    path = context.paths.layer_disk(layer.id)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _WRITABLE:
        raise Damaged(
            f"{_noun(context, layer)} was made writable: its mode is {mode:04o}, it must be 0400",
            hint=f'chmod 400 "{path}"',
        )


def _noun(context: Context, layer: Layer) -> str:
    return f'the layer "{short(layer.id)}" of {_images_on(context, layer.id)}'


def _images_on(context: Context, layer_id: str) -> str:
    database = context.database
    names = [
        str(ref)
        for ref, image_id in list(database.tags.items())  # at once: a start is prepared by a thread
        if (image := database.images.get(image_id)) is not None and layer_id in image.layers
    ]
    return f'image "{", ".join(sorted(names)[:3])}"' if names else "an image without a name"


def stdio(container: Container) -> Stdio:
    """What the main process's streams are."""
    if container.system:
        return Stdio.CONSOLE
    if container.spec.tty:
        return Stdio.TTY
    return Stdio.STDIN if container.spec.open_stdin else Stdio.PIPES


def machine_id(container_id: str) -> str:
    """A guest's machine id: stable for a container, different for each."""
    return hashlib.sha256(f"ireko machine {container_id}".encode()).hexdigest()[:32]


def mac(container_id: str) -> str:
    """A guest's network address: stable for a container, locally administered."""
    digits = hashlib.sha256(f"ireko mac {container_id}".encode()).hexdigest()
    return f"52:54:00:{digits[0:2]}:{digits[2:4]}:{digits[4:6]}"


def hostname(container: Container) -> str:
    """The host name: as asked for, or the short id as docker has it."""
    return container.spec.hostname or short(container.id)


def volume_mounts(container: Container) -> list[tuple[int, Mount]]:
    """The mounts of named volumes, each with its place among all mounts."""
    return [(n, mount) for n, mount in enumerate(container.spec.mounts) if mount.kind is MountKind.VOLUME]


def shared_mounts(context: Context, container: Container) -> list[tuple[int, Mount]]:
    """The mounts that the hypervisor shares with the host, each with its place among all mounts."""
    if not context.driver.abilities.shared_folders:
        return []
    return [
        (n, mount)
        for n, mount in enumerate(container.spec.mounts)
        if mount.kind is MountKind.BIND and Path(mount.source).is_dir()
    ]


def copied_mounts(context: Context, container: Container) -> list[tuple[int, Mount]]:
    """The host files and folders that are copied in, because they can't be shared."""
    shared = {n for n, _ in shared_mounts(context, container)}
    return [
        (n, mount) for n, mount in enumerate(container.spec.mounts) if mount.kind is MountKind.BIND and n not in shared
    ]


def prepare(context: Context, container: Container, image: Image) -> MachineSpec:
    """Check everything a start needs, write what the guest will read, and say what to start.

    Raises Damaged (a parent, a volume, the kernel or a host path is not there or not what it was), NoSpace, Denied.
    """
    check_chain(context, container.parent)
    check_boot(context, image)
    check_firmware(container.name, image, lookup.layer(context.database, container.parent))
    directory = context.paths.container(container.id)
    if container.started is None:
        context.files.sync_tree(directory)  # what will be written there must not be lost
    for mount in container.spec.mounts:
        _check_source(context, mount)
    volumes, shares = volume_mounts(container), shared_mounts(context, container)
    write_seed(
        context, container, directory, [(f"vol-{n}", m) for n, m in volumes] + [(f"fs-{n}", m) for n, m in shares]
    )
    boot = image.config.boot
    folder = context.paths.boot / boot.id if boot else None
    return MachineSpec(
        id=container.id,
        name=container.name,
        directory=directory,
        cpus=container.cpus,
        memory=container.memory,
        disks=(
            _root(context, container, context.paths.container_disk(container.id)),
            Disk("seed", directory / SEED, "raw", read_only=True),
            *(Disk(f"vol-{n}", context.paths.volume_disk(m.source), "raw", m.read_only) for n, m in volumes),
            *_copies(context, directory, copied_mounts(context, container)),
        ),
        stdio=stdio(container),
        kernel=folder / "kernel" if folder else None,
        initrd=folder / "initrd" if folder else None,
        append=boot.append if boot else "",
        ports=specs.ports(container.spec, image),
        shares=tuple(Share(f"fs-{n}", Path(m.source), m.read_only) for n, m in shares),
        network=container.spec.network != "none",
        mac=mac(container.id),
        generation=image.config.generation,
        hardware=image.config.hardware,
    )


def maintenance(context: Context, container: Container, image: Image, folder: Path, disk: Path) -> MachineSpec:
    """A machine on a container's disk that runs nothing of the container's, so that its files can be reached."""
    boot = image.config.boot
    if boot is None:
        raise Unsupported(
            f'the files of "{container.name}" can be reached only while it runs: its image boots from its own disk',
            hint=f"ireko start {container.name}",
        )
    check_boot(context, image)
    process = Process(("sleep", "2147483647"), (), "", "")
    write_seed(context, replace(container, process=process, spec=ContainerSpec(image=container.image)), folder, [])
    kernel = context.paths.boot / boot.id
    return MachineSpec(
        id=container.id,
        name=f"{container.name} (maintenance)",
        directory=folder,
        cpus=1,
        memory=container.memory,
        disks=(
            _root(context, container, disk),
            Disk("seed", folder / SEED, "raw", read_only=True),
        ),
        stdio=Stdio.PIPES,
        kernel=kernel / "kernel",
        initrd=kernel / "initrd",
        append=boot.append,
        network=False,
    )


def _root(context: Context, container: Container, path: Path) -> Disk:
    """The disk that its system is on."""
    sector_size = lookup.layer(context.database, container.parent).sector_size
    return Disk("root", path, context.driver.abilities.disk_format, sector_size=sector_size)


def check_firmware(name: str, image: Image, layer: Layer) -> None:
    """Raises Unsupported when the firmware of a machine can't read the disk that it is to start."""
    if image.config.boot is None and image.config.generation == 1 and layer.sector_size != SECTOR:
        raise Unsupported(
            f'"{name}" boots by a BIOS, and none can read a disk with sectors of {layer.sector_size} bytes',
            hint="import its disk with --generation 2, so that it boots by UEFI",
        )


def check_boot(context: Context, image: Image) -> None:
    """Raises Damaged when what an image boots with is not there."""
    if image.config.boot is None:
        return
    for name in "kernel", "initrd":
        path = context.paths.boot / image.config.boot.id / name
        if not path.exists():
            raise Damaged(
                f'the {name} of the image "{short(image.id)}" is missing: "{path}"',
                hint="put it back from a backup, or make the image anew and recreate the container",
            )


def _copies(context: Context, directory: Path, copied: list[tuple[int, Mount]]) -> Iterator[Disk]:
    for n, mount in copied:
        archive = directory / f"copy-{n}.tar"
        mounts.pack(context, Path(mount.source), mount.target, archive)
        yield Disk(f"copy-{n}", archive, "raw", read_only=True)


def _check_source(context: Context, mount: Mount) -> None:
    if mount.kind is MountKind.VOLUME:
        path, noun = context.paths.volume_disk(mount.source), f'the volume "{mount.source}"'
    else:
        path, noun = Path(mount.source), f'the host path "{mount.source}"'
    if not path.exists():
        raise Damaged(f"{noun}, mounted at {mount.target}, is not there any more", hint="bring it back, or recreate")


def write_seed(context: Context, container: Container, directory: Path, mounted: list[tuple[str, Mount]]) -> None:
    """Write what the guest needs to know into a folder that has the keys of its channel; `mounted` has tags and mounts.

    Raises NoSpace, Denied.
    """
    process = container.process
    seed = Seed(
        hostname=hostname(container),
        machine_id=machine_id(container.id),
        identity=Identity.load(directory),
        stdio=stdio(container).value,
        main=None if container.system else Main(process.argv, process.environment, process.workdir, process.user),
        network=None if container.spec.network == "none" else Network(mac(container.id)),
        mounts=[SeedMount(tag, mount.target, mount.read_only) for tag, mount in mounted],
    )
    context.files.write(directory / SEED, seed.archive())
