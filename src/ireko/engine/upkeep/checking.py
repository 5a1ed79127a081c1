"""The database held against the files, and every chain looked through. Repairs lose nothing, and guess nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ireko.drivers.base import Level
from ireko.engine import layers, storing
from ireko.engine.context import Context
from ireko.engine.runs import Runs
from ireko.engine.upkeep import content, leftovers, private, records, sealed, use
from ireko.engine.upkeep.faults import Fault, error
from ireko.errors import IrekoError
from ireko.model.container import Container
from ireko.model.image import Layer
from ireko.model.names import short
from ireko.model.recipe import Progress


@dataclass(frozen=True)
class Found:
    """Something that is wrong, or was until now."""

    name: str
    level: Level
    found: str
    remedy: str
    repaired: bool


@dataclass(frozen=True)
class Checked:
    """What was looked at, counted, and what was found."""

    images: int
    layers: int
    containers: int
    volumes: int
    deep: bool
    found: tuple[Found, ...]


class Checker:
    """Looks for what is wrong. Machines go on meanwhile: nothing that they have open is written to."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs
        self._since = time.time()

    async def check(self, *, deep: bool, repair: bool, progress: Progress) -> Checked:
        """Look at everything that there is a record of, and for what there is none of.

        `deep` reads all data. `repair` puts right at once what can be put right without losing anything; with both, what was
        read is noted where nothing was, so that a later check can prove more. What is being worked on right now is left out.
        """
        database = self._context.database
        async with self._context.locks(use.UPKEEP):
            look = _Look(self._context, self._runs, progress, deep=deep, repair=repair)
            await look.at_records()
            for layer in _lowest_first(self._context):
                await look.at_layer(layer.id)
            await look.at_images()
            for container_id in list(database.containers):
                await look.at_container(container_id)
            for name in list(database.volumes):
                await look.at_volume(name)
            await look.at_leftovers(self._since)
        return Checked(
            images=len(database.images),
            layers=len(database.layers),
            containers=len(database.containers),
            volumes=len(database.volumes),
            deep=deep,
            found=tuple(look.found),
        )


class _Look:
    """One check: what it has found, and repaired, so far."""

    def __init__(self, context: Context, runs: Runs, progress: Progress, *, deep: bool, repair: bool) -> None:
        self._context = context
        self._runs = runs
        self._progress = progress
        self._deep = deep
        self._repair = repair
        self._noun = use.nouns(context)
        self.found: list[Found] = []

    async def at_records(self) -> None:
        """Those that can't be read, and names without an image."""
        await self._meet([*records.broken(self._context), *records.tags(self._context)])

    async def at_layer(self, layer_id: str) -> None:
        """Its record, its file, its place on its parent."""
        context = self._context
        layer = context.database.layers.get(layer_id)
        if layer is None:
            return
        if not context.paths.layer_disk(layer.id).is_file():
            await self._meet(sealed.faults(context, layer, self._noun(layer.id)))
            return
        async with layers.holding(context, layer.id):
            faults = await self._read_layer(layer)
        if layer.id in context.database.layers:  # its last image may have gone while it was read
            await self._meet(faults)

    async def _read_layer(self, layer: Layer) -> list[Fault]:
        context = self._context
        name, path = self._noun(layer.id), context.paths.layer_disk(layer.id)
        read = await content.read_layer(context, layer, name, deep=self._deep, progress=self._progress)
        shown = content.shown(context, layer, read)
        proven = read if shown and shown == layer.chain_id else None
        faults = list(sealed.faults(context, layer, name, proven=proven))
        if layer.chain_id and shown and not proven:
            found = f'its content is "{shown}", it was "{layer.chain_id}" when it was recorded'
            lies = layer.linked[0].path if layer.linked else path
            faults.append(error(name, found, f'put "{lies}" back from a backup, or make the image anew'))
        faults += read.faults(name, path, told=faults)
        if self._repair and shown and not layer.chain_id and not faults:
            with context.database.change() as change:
                change.put_layer(replace(context.database.layers[layer.id], chain_id=shown))
        return faults

    async def at_images(self) -> None:
        """Whether all that they consist of is there."""
        for image in list(self._context.database.images.values()):
            await self._meet(records.of_image(self._context, image))
        if self._deep:
            for boot in {each.config.boot.id for each in self._context.database.images.values() if each.config.boot}:
                await self._read_boot(boot)

    async def _read_boot(self, boot: str) -> None:
        """Kernels are named by what they hold."""
        kernel, initrd = (self._context.paths.boot / boot / name for name in ("kernel", "initrd"))
        if not (kernel.is_file() and initrd.is_file()):
            return
        name = f"boot/{short(boot)}"
        self._progress(f"reading {name}", None, None)
        if (holds := await asyncio.to_thread(storing.boot_id, kernel, initrd)) != boot:
            found = f'"{kernel}" and "{initrd}" are not what they were: together they are "{holds}", they were "{boot}"'
            await self._meet([error(name, found, "put them back from a backup, or make the image anew")])

    async def at_container(self, container_id: str) -> None:
        """Its records and its files; not those of one that is being worked on."""
        context = self._context
        container = context.database.containers.get(container_id)
        if container is None or self._is_busy(container):
            return
        await self._meet(records.of_container(context, container))
        if container.status.has_machine or self._runs.running(container.id):
            await self._meet(private.of_container(context, container, running=True))
            return
        async with context.locks(container.id):
            faults = list(private.of_container(context, container, running=False))
            disk = context.paths.container_disk(container.id)
            if disk.is_file() and disk.stat().st_size:
                name = f"container {container.name}"
                read = await content.read(context, disk, name, deep=self._deep, progress=self._progress)
                faults += read.faults(name, disk, told=faults)
            await self._meet(faults)

    def _is_busy(self, container: Container) -> bool:
        operations = self._context.database.operations.values()
        return self._context.locks.taken(container.id) or any(each.container == container.id for each in operations)

    async def at_volume(self, name: str) -> None:
        """Whether its disk is there."""
        volume = self._context.database.volumes.get(name)
        if volume is not None and not self._context.locks.taken(f"volume {name}"):
            await self._meet(private.of_volume(self._context, volume))

    async def at_leftovers(self, since: float) -> None:
        """What no record knows; `since` is when this daemon began."""
        await self._meet(leftovers.without_record(self._context))
        await self._meet(leftovers.half_made(self._context, since))

    async def _meet(self, faults: Iterable[Fault]) -> None:
        for fault in list(faults):
            self.found.append(await _repaired(fault, self._progress) if self._repair else _told(fault))


def _lowest_first(context: Context) -> list[Layer]:
    """Layers behind those that they stand on."""
    database, done = context.database, dict[str, Layer]()
    for layer in database.layers.values():
        above = dict[str, Layer]()
        present: Layer | None = layer
        while present is not None and present.id not in {*done, *above}:
            above[present.id] = present
            present = database.layers.get(present.parent or "")
        done.update(reversed(above.items()))
    return list(done.values())


async def _repaired(fault: Fault, progress: Progress) -> Found:
    if fault.mend is None:
        return _told(fault)
    try:
        await fault.mend(progress)
    except (IrekoError, OSError) as problem:
        return replace(_told(fault), found=f"{fault.found}; it can't be repaired now: {problem}")
    return replace(_told(fault), repaired=True)


def _told(fault: Fault) -> Found:
    return Found(fault.name, fault.level, fault.found, fault.remedy, repaired=False)
