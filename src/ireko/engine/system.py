"""The whole: what there is, what it takes, how it hangs together, what is wrong with it."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ireko.drivers.base import Abilities, Finding, HostReport, Level
from ireko.engine.containers import Containers, Sizes
from ireko.engine.context import Context
from ireko.engine.images import Images
from ireko.engine.upkeep import records, sealed, use
from ireko.engine.volumes import Volumes
from ireko.host import files, holes
from ireko.model.container import Container
from ireko.model.image import GIB, Image, Layer
from ireko.model.volume import Volume

_LITTLE_SPACE, _NO_SPACE = 5 * GIB, 1 * GIB


@dataclass(frozen=True)
class ImageUsage:
    """`size`: all its layers; `shared`: those of them that other images have too (bytes)."""

    image: Image
    size: int
    shared: int
    containers: int


@dataclass(frozen=True)
class ContainerUsage:
    """What a container takes."""

    container: Container
    sizes: Sizes


@dataclass(frozen=True)
class VolumeUsage:
    """What a volume takes, and how many containers mount it."""

    volume: Volume
    size: int
    users: int


@dataclass(frozen=True)
class DiskUsage:
    """`layers_size` counts each layer once; `reclaimable` are those that no container needs, nor its image (bytes)."""

    layers_size: int
    reclaimable: int
    images: tuple[ImageUsage, ...]
    containers: tuple[ContainerUsage, ...]
    volumes: tuple[VolumeUsage, ...]


@dataclass(frozen=True)
class TreeNode:
    """A layer with the images and layers on it, or an image with its containers, or a container. `size` in bytes."""

    kind: str
    id: str
    names: tuple[str, ...]
    size: int
    status: str
    children: tuple[TreeNode, ...]


class System:
    """About everything at once."""

    def __init__(self, context: Context, containers: Containers, images: Images, volumes: Volumes) -> None:
        self._context = context
        self._containers = containers
        self._images = images
        self._volumes = volumes

    def root(self) -> Path:
        """The folder of everything we write."""
        return self._context.paths.root

    def abilities(self) -> Abilities:
        """What the driver can do."""
        return self._context.driver.abilities

    async def host(self) -> HostReport:
        """What the driver found on this host. Our own folder is not looked at."""
        return await self._context.driver.report()

    async def report(self, *, layers: bool) -> HostReport:
        """What the driver found on this host, and what we found in our own folder; never raises for what it finds.

        `layers` looks at the file of each one too, which takes about a millisecond for each.
        """
        report = await self.host()
        ours = (self._space(), self._privacy(), self._logs(), *self._records())
        of_layers = await self._layers() if layers else ()
        return HostReport(report.version, report.accelerator, (*report.findings, *ours, *of_layers))

    async def disk_usage(self) -> DiskUsage:
        """What everything takes."""
        return DiskUsage(
            layers_size=sum(layer.size for layer in self._context.database.layers.values()),
            reclaimable=self._reclaimable(),
            images=tuple(self.image_usages().values()),
            containers=tuple(
                [ContainerUsage(each, await self._containers.sizes(each.id)) for each in self._containers.all()]
            ),
            volumes=tuple(
                VolumeUsage(each, self._volumes.size(each.name), len(self._volumes.users(each.name)))
                for each in self._volumes.all()
            ),
        )

    async def beside(self) -> dict[str, int]:
        """What lies in the root beside that (bytes): kernels, what a repair put aside, what recipes keep for the next time."""
        paths = self._context.paths
        folders = {"kernels": paths.boot, "lost": paths.lost, "cache": paths.cache}
        return {name: await asyncio.to_thread(files.tree_bytes, folder) for name, folder in folders.items()}

    def image_usages(self) -> dict[str, ImageUsage]:
        """What each image takes, by its id, the newest first. No file is looked at."""
        database = self._context.database
        images = self._images.all()
        owners = Counter(layer for image in images for layer in image.layers)
        users = Counter(each.image for each in database.containers.values())
        sizes = {layer.id: layer.size for layer in database.layers.values()}
        return {
            image.id: ImageUsage(
                image,
                size=sum(sizes.get(layer, 0) for layer in image.layers),
                shared=sum(sizes.get(layer, 0) for layer in image.layers if owners[layer] > 1),
                containers=users[image.id],
            )
            for image in images
        }

    def tree(self) -> list[TreeNode]:
        """Every base layer with all that stands on it."""
        return [self._layer_node(layer) for layer in self._children(None)]

    def _children(self, parent: str | None) -> list[Layer]:
        found = [layer for layer in self._context.database.layers.values() if layer.parent == parent]
        return sorted(found, key=lambda layer: layer.created)

    def _layer_node(self, layer: Layer) -> TreeNode:
        images = [self._image_node(image) for image in reversed(self._images.all()) if image.top == layer.id]
        # A container that was committed stands on the layer of the commit, whatever image it was made from.
        own = [self._container_node(each) for each in self._standing_on(layer) if not self._is_top(each)]
        above = [self._layer_node(child) for child in self._children(layer.id)]
        status = f"linked to {layer.linked[0].path}" if layer.linked else ""
        return TreeNode("layer", layer.id, (), layer.size, status, (*images, *own, *above))

    def _image_node(self, image: Image) -> TreeNode:
        names = tuple(str(name) for name in self._images.references(image.id))
        containers = [each for each in self._images.users(image.id) if each.parent == image.top]
        containers.sort(key=lambda each: each.created)
        size = self._images.size(image)
        return TreeNode("image", image.id, names, size, "", tuple(self._container_node(each) for each in containers))

    def _container_node(self, container: Container) -> TreeNode:
        size = files.disk_bytes(self._context.paths.container_disk(container.id))
        return TreeNode("container", container.id, (container.name,), size, container.status.value, ())

    def _standing_on(self, layer: Layer) -> list[Container]:
        found = [each for each in self._context.database.containers.values() if each.parent == layer.id]
        return sorted(found, key=lambda each: each.created)

    def _is_top(self, container: Container) -> bool:
        return self._context.database.images[container.image].top == container.parent

    def _reclaimable(self) -> int:
        """What would come free if all images went that no container was made from."""
        database, needed = self._context.database, set[str]()
        for container in database.containers.values():
            image = database.images.get(container.image)
            needed.update(image.layers if image else ())
            layer = database.layers.get(container.parent)
            while layer is not None and layer.id not in needed:
                needed.add(layer.id)
                layer = database.layers.get(layer.parent or "")
        return sum(layer.size for layer in database.layers.values() if layer.id not in needed)

    def _space(self) -> Finding:
        root = self._context.paths.root
        free = shutil.disk_usage(root).free
        level = Level.OK if free > _LITTLE_SPACE else Level.WARNING if free > _NO_SPACE else Level.ERROR
        return Finding(
            "disk space",
            level,
            f'{free / GIB:.1f} GiB free at "{root}"',
            "" if level is Level.OK else "ireko system prune",
        )

    def _privacy(self) -> Finding:
        root = self._context.paths.root
        if hasattr(root.stat(), "st_uid") and root.stat().st_mode & 0o077:
            return Finding("permissions", Level.WARNING, f'others can look into "{root}"', f"chmod 700 {root}")
        return Finding("permissions", Level.OK, f'"{root}" is private')

    def _logs(self) -> Finding:
        try:
            possible = holes.can_release(self._context.paths.tmp)
        except OSError as error:
            return Finding("logs", Level.WARNING, f"it can't be told whether they stay small: {error}", "ireko doctor")
        if possible:
            return Finding("logs", Level.OK, "the room of old lines is given back")
        return Finding(
            "logs",
            Level.WARNING,
            f'the file system of "{self._context.paths.root}" can\'t give back the room of old lines: logs grow without limit',
            "move it to ext4, XFS or Btrfs",
        )

    def _records(self) -> list[Finding]:
        return [Finding("database", fault.level, fault.found, fault.remedy) for fault in records.broken(self._context)]

    async def _layers(self) -> list[Finding]:
        """What `system check` says of layers without reading them."""
        layers, noun = self._context.database.layers, use.nouns(self._context)
        found = list[Finding]()
        for layer in list(layers.values()):
            await asyncio.sleep(0)  # others go on meanwhile, and may remove some
            if layer.id in layers:
                faults = sealed.faults(self._context, layers[layer.id], noun(layer.id))
                found += [Finding("layers", each.level, f"{each.name}: {each.found}", each.remedy) for each in faults]
        count = len(layers)
        return found or [Finding("layers", Level.OK, f"{count} layer{'' if count == 1 else 's'} as they were sealed")]
