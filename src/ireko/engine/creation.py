"""What making a container takes: its record, its volumes, its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ireko.engine import lookup, machines, names, specs
from ireko.engine.context import Context, now
from ireko.engine.volumes import ANONYMOUS, Volumes
from ireko.errors import AlreadyThere, InvalidInput
from ireko.guest.identity import Identity
from ireko.host import files
from ireko.model.container import Container, ContainerSpec, Mount, MountKind
from ireko.model.image import Image
from ireko.model.names import check_container_name, new_id


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


async def new_container(context: Context, volumes: Volumes, spec: ContainerSpec, name: str | None) -> Container:
    """The record of a container to be; volumes that it names exist afterwards. Nothing else is written."""
    specs.check(spec)
    image = lookup.image(context.database, spec.image)
    name = check_container_name(name) if name else names.free(set(taken_names(context)))
    check_name_free(context, name)
    process = specs.process(spec, image)
    mounts = [await _resolved(context, volumes, mount) for mount in specs.mounts(spec, image)]
    container = Container(
        id=new_id(),
        name=name,
        image=image.id,
        parent=image.top,
        spec=replace(spec, mounts=tuple(mounts)),
        process=process,
        cpus=spec.cpus or image.config.cpus,
        memory=spec.memory or image.config.memory,
        stop_timeout=_stop_timeout(spec, image),
        created=now(),
        published=specs.ports(spec, image),
    )
    check_name_free(context, name)  # making volumes took its time
    return container


@contextmanager
def folder_of(context: Context, container: Container) -> Iterator[None]:
    """The container's folder with its empty disk and its keys; gone again when what is done inside fails."""
    half = context.paths.tmp / container.id
    place = context.paths.container(container.id)
    half.mkdir(mode=0o700)
    try:
        context.driver.disks.create(
            half / context.paths.container_disk(container.id).name,
            parent=context.paths.layer_disk(container.parent),
            capacity=context.database.layers[container.parent].capacity,
        )
        Identity.create().save(half)
        half.rename(place)
        files.sync_folder(place.parent)
        yield
    except BaseException:
        files.remove_tree(half)
        files.remove_tree(place)
        raise


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


async def _resolved(context: Context, volumes: Volumes, mount: Mount) -> Mount:
    if mount.kind is MountKind.BIND:
        source = Path(mount.source)
        if not source.is_absolute():
            raise InvalidInput(f'the host path "{mount.source}" must be absolute')
        if not source.exists():
            raise InvalidInput(
                f'invalid mount config for type "bind": bind source path does not exist: {mount.source}',
                hint=f"mkdir -p {mount.source}",
            )
        return mount
    volume = await volumes.create(mount.source or None, None if mount.source else {ANONYMOUS: ""})
    return replace(mount, source=volume.name)


def _stop_timeout(spec: ContainerSpec, image: Image) -> int:
    for wanted in (spec.stop_timeout, image.config.stop_timeout):
        if wanted is not None:
            return wanted
    return specs.DEFAULT_STOP_TIMEOUT
