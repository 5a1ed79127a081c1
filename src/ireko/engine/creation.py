"""What making a container takes: its record, its volumes, its folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ireko.engine import lookup, machines, mounts, names, specs
from ireko.engine.context import Context, now
from ireko.engine.volumes import ANONYMOUS, CAPACITY, Volumes
from ireko.errors import AlreadyThere, InvalidInput
from ireko.guest.identity import Identity
from ireko.host import files
from ireko.model.container import Container, ContainerSpec, Mount, MountKind
from ireko.model.image import Image
from ireko.model.names import check_container_name, check_volume_name, new_id
from ireko.model.volume import Volume


def taken_names(context: Context) -> dict[str, str]:
    """The ids of the containers by name."""
    return {container.name: container.id for container in context.database.containers.values()}


def check_name_free(context: Context, name: str) -> None:
    """Raises AlreadyThere, in docker's words."""
    if holder := taken_names(context).get(name):
        raise AlreadyThere(
            f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
            hint=f"ireko rm {name}",
        )


@dataclass(frozen=True)
class Draft:
    """A container to be, and the volumes among its own that were given no name."""

    container: Container
    unnamed: frozenset[str]


def draft(context: Context, spec: ContainerSpec, name: str | None) -> Draft:
    """What the container will be. Nothing is written. Raises NotFound (the image), AlreadyThere, InvalidInput."""
    specs.check(spec)
    image = lookup.image(context.database, spec.image)
    name = check_container_name(name) if name else names.free(set(taken_names(context)))
    check_name_free(context, name)
    process = specs.process(spec, image)
    asked = specs.mounts(spec, image)
    resolved = tuple(_resolved(mount) for mount in asked)
    container = Container(
        id=new_id(),
        name=name,
        image=image.id,
        parent=image.top,
        spec=replace(spec, mounts=resolved),
        process=process,
        cpus=spec.cpus or image.config.cpus,
        memory=spec.memory or image.config.memory,
        stop_timeout=_stop_timeout(spec, image),
        created=now(),
        published=specs.ports(spec, image),
    )
    return Draft(container, frozenset(new.source for old, new in zip(asked, resolved, strict=True) if not old.source))


@asynccontextmanager
async def volumes_of(context: Context, volumes: Volumes, made: Draft) -> AsyncIterator[list[Volume]]:
    """Hold the container's volumes, and make those that are missing: they are to be recorded with the container.

    They are gone again when what is done inside fails.
    """
    wanted = sorted(set(mounts.volumes(made.container)))
    async with mounts.held(context, wanted):
        missing = [
            Volume(name, now(), CAPACITY, {ANONYMOUS: ""} if name in made.unnamed else {})
            for name in wanted
            if name not in context.database.volumes
        ]
        async with volumes.made(missing):
            yield missing


def check_again(context: Context, container: Container) -> None:
    """Making volumes took its time: the image may have gone, the name may be taken. Raises NotFound, AlreadyThere."""
    lookup.image(context.database, container.image)
    check_name_free(context, container.name)


@contextmanager
def folder_of(context: Context, container: Container) -> Iterator[None]:
    """The container's folder with its empty disk and its keys; gone again when what is done inside fails.

    The disk is not waited for: until the container is first used `mend` can make all of it again.
    """
    changes, half = context.files, context.paths.tmp / container.id
    place = context.paths.container(container.id)
    try:
        changes.make_folder(half)
        _make_disk(context, container, half / context.paths.container_disk(container.id).name)
        with files.told(half):
            Identity.create().save(half)
        changes.move(half, place, lasting=False)
        yield
    except BaseException:
        changes.remove_tree(half)
        changes.remove_tree(place)
        raise


def _make_disk(context: Context, container: Container, path: Path) -> None:
    context.driver.disks.create(
        path,
        parent=context.paths.layer_disk(container.parent),
        capacity=lookup.layer(context.database, container.parent).capacity,
    )


def mend(context: Context, container: Container) -> None:
    """Make again what a power cut took of a container that was never used: empty files, or all of its folder."""
    place, disk = context.paths.container(container.id), context.paths.container_disk(container.id)
    if not place.exists():
        context.files.make_folder(place)
    if _lost(disk):
        context.files.remove(disk)
        _make_disk(context, container, disk)
    if any(_lost(path) for path in Identity.paths(place)):
        Identity.create().save(place)


def _lost(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size


def warnings(context: Context, container: Container) -> tuple[str, ...]:
    """What its user should know."""
    found = []
    if container.cpus != int(container.cpus):
        found.append(
            f"{container.cpus} CPUs were asked for: a machine has whole ones, so it gets {-int(-container.cpus // 1)}."
        )
    for _, mount in machines.copied_mounts(context, container):
        found.append(
            f'"{mount.source}" is copied into the machine at each start, because folders can\'t be shared here '
            f'("ireko doctor" says why): what the machine changes in {mount.target} does not come back to the host.'
        )
    return tuple(found)


def _resolved(mount: Mount) -> Mount:
    """The mount with its source: a host path that is there, or a volume's name."""
    if mount.kind is MountKind.VOLUME:
        return replace(mount, source=check_volume_name(mount.source) if mount.source else new_id())
    source = Path(mount.source)
    if not source.is_absolute():
        raise InvalidInput(f'the host path "{mount.source}" must be absolute')
    if not source.exists():
        raise InvalidInput(
            f'invalid mount config for type "bind": bind source path does not exist: {mount.source}',
            hint=f"mkdir -p {mount.source}",
        )
    return mount


def _stop_timeout(spec: ContainerSpec, image: Image) -> int:
    for wanted in (spec.stop_timeout, image.config.stop_timeout):
        if wanted is not None:
            return wanted
    return specs.DEFAULT_STOP_TIMEOUT
