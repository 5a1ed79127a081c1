"""Disk files from elsewhere become images: each layer of their chain a layer, those that are here already shared.

The files stay as they are. A layer is written in the driver's own format; where the file system can, its data is shared with the
file that it came from rather than copied. Linked, nothing is written at all: an empty layer stands on the file itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ireko.disk.base import Allocation, LayerInfo, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.base import Layer as OpenLayer
from ireko.disk.base import Progress as Steps
from ireko.disk.chain import Chain, open_chain
from ireko.disk.errors import told
from ireko.disk.links import ChainBroken
from ireko.disk.transfer import transfer
from ireko.disk.use import refuse_use
from ireko.disk.view import View
from ireko.engine import diskwork, foreign, layers, linked, origins, sectors, specs, storing
from ireko.engine.context import Context, now, to_its_end
from ireko.errors import Conflict, InvalidInput, NotFound, Unsupported
from ireko.model.image import FIRMWARE, GIB, SECTOR, Hardware, History, Image, ImageConfig, Layer, LinkedFile, with_id
from ireko.model.names import Reference, new_id
from ireko.model.places import straight
from ireko.model.recipe import Progress


@dataclass(frozen=True)
class Source:
    """A disk file. `format` "" is found by its content; parents lie in its folder, or in one of `within`."""

    path: Path
    format: str = ""
    within: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What a machine on the image gets; None: what the disk suggests. `memory` is in bytes, 0 and `cpus` 0 the usual.

    `like` is an image whose settings are taken over, its kernel among them, as far as nothing else is said. `sector_size` is in
    bytes, 0: what the disk's file or its partition table says.
    """

    like: Image | None = None
    generation: int | None = None
    hardware: Hardware | None = None
    cpus: float = 0
    memory: int = 0
    sector_size: int = 0


@dataclass(frozen=True)
class Imported:
    """The image, how large the sectors of its disk are, and what its user should know of it, a sentence each."""

    image: Image
    sector_size: int
    warnings: tuple[str, ...]


class Importer:
    """Makes images of disk files."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def bring(
        self, source: Source, settings: Settings, *, reference: Reference | None, link: bool, progress: Progress
    ) -> Imported:
        """An image of a disk and its parents. With `link` the files stay where they are, and must stay as they are.

        Raises NotFound, InvalidInput, Conflict (a machine writes to the disk), Unsupported, Damaged, NoSpace.
        """
        _check(source, settings)
        with told(source.path):
            source = replace(source, path=straight(source.path))
        boot = settings.like.config.boot if settings.like else None
        async with (
            layers.holding(self._context, boot=boot),
            foreign.readable(self._context, source.path, source.format, progress=progress) as path,
        ):
            if path != source.path:
                if link:
                    raise Unsupported(
                        f'the disk "{source.path}" can\'t be linked, as it has to be converted', hint=_COPY
                    )
                source = Source(path)
            with contextlib.ExitStack() as opened:
                work = await to_its_end(asyncio.to_thread(self._open, source, settings, opened, progress))
                image = await (work.link(settings, reference) if link else work.copy(settings, reference))
                return Imported(image, work.disk.sector_size, work.warnings(image.config))

    def _open(self, source: Source, settings: Settings, opened: contextlib.ExitStack, progress: Progress) -> _Import:
        """What is done with a chain that is closed with `opened`. Blocks."""
        chain = opened.enter_context(_open(source))
        like = self._context.database.layers.get(settings.like.top) if settings.like else None
        disk = sectors.look(chain, asked=settings.sector_size, like=like.sector_size if like else 0)
        return _Import(self._context, chain, disk, progress)


_FORMATS = ("vhdx", "vhd", "qcow2", "raw", *foreign.FORMATS)
_MISSING = "the parent"
"""What a chain lacks whose next disk is not where it is said to be."""
_COPY = "leave --link out"


def _check(source: Source, settings: Settings) -> None:
    if settings.generation not in {None, 1, 2}:
        raise InvalidInput(f'the generation is "{settings.generation}": it is 1 (a BIOS) or 2 (UEFI)')
    specs.check_size(settings.cpus, settings.memory)
    sectors.check(settings.sector_size)
    if source.format and source.format not in _FORMATS:
        raise InvalidInput(f'"{source.format}" is no disk format; there are {", ".join(_FORMATS)}')
    for path in (source.path, *source.within):
        if not path.is_absolute():
            raise InvalidInput(f'the path "{path}" must be absolute')
    for folder in source.within:
        if not is_folder(folder):
            raise InvalidInput(f'"{folder}" is no folder, so no parents lie in it')
    if is_folder(source.path):
        hint = f"ireko adopt {shlex.quote(str(source.path))}"
        raise InvalidInput(f'"{source.path}" is a folder: a disk is a file', hint=hint)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder rather than a file that may be a disk.

    Raises NotFound, Denied, and InvalidInput for what is neither: a named pipe would be waited for without end.
    """
    with told(path):
        if not path.exists():
            raise NotFound(f'there is no file or folder "{path}"')
        if path.is_dir():
            return True
        if not path.is_file() and not path.is_block_device():
            raise InvalidInput(f'"{path}" is no regular file and no block device, so it is no disk')
    return False


def _open(source: Source) -> Chain:
    refuse_use(source.path)
    chain = _open_chain(source)
    try:
        _check_usable(chain.leaf.info)
    except BaseException:
        chain.close()
        raise
    return chain


def _open_chain(source: Source) -> Chain:
    within = (source.path.parent, *source.within)
    try:
        return open_chain(source.path, within=within, format_name=source.format)
    except ChainBroken as error:
        if error.structure == _MISSING:
            error.hint = f"--parents DIR looks in another folder, too; {error.hint} has the disk point to it"
        raise


def _check_usable(leaf: LayerInfo) -> None:
    if not leaf.size:
        raise InvalidInput(f'the disk "{leaf.path}" has 0 bytes: there is nothing on it')


class _Import:
    """One chain on its way; the layers of `_chain` are handled lowest first."""

    def __init__(self, context: Context, chain: Chain, disk: sectors.Disk, progress: Progress) -> None:
        self._context = context
        self._sources = tuple(reversed(chain.layers))
        self.disk = disk
        self._progress = progress
        self._before = [linked.identify(each.info.path) for each in self._sources]

    async def copy(self, settings: Settings, reference: Reference | None) -> Image:
        """Every layer that is not here yet is written.

        Of chains on one base one is brought at a time, so that none overlooks the layers that another brings.
        """
        async with self._context.locks(f"origin {origins.of(self._sources[0])}"):
            return await self._copy(settings, reference)

    async def _copy(self, settings: Settings, reference: Reference | None) -> Image:
        known = origins.known(self._context, self._sources, self.disk.sector_size)
        async with (
            layers.holding(self._context, *(each.id for each in known[-1:])),
            self._context.work_folder() as folder,
        ):
            fresh: list[tuple[Layer, Path]] = []
            for number, source in enumerate(self._sources[len(known) :], start=len(known) + 1):
                below = fresh[-1] if fresh else None
                parent = below[0] if below else (known[-1] if known else None)
                step = f"importing layer {number} of {len(self._sources)}"
                fresh.append(await self._layer(step, source, folder, parent, below[1] if below else None))
            self._check_unchanged()
            return self._record([*known, *(layer for layer, _ in fresh)], fresh, settings, reference)

    def warnings(self, config: ImageConfig) -> tuple[str, ...]:
        """What an image with these settings lacks."""
        snapshots = (
            f'the snapshots inside "{each.info.path}" are not part of the image: it shows what the disk holds now'
            for each in self._sources
            if each.info.snapshots
        )
        return (*snapshots, *_boot_warnings(self.disk, config), *sectors.warnings(self.disk))

    async def link(self, settings: Settings, reference: Reference | None) -> Image:
        """One empty layer that stands on the file itself."""
        leaf = self._sources[-1].info
        self._check_linkable(leaf)
        files = tuple(
            LinkedFile(str(each.info.path), each.info.format, identity)
            for each, identity in reversed(list(zip(self._sources, self._before, strict=True)))
        )
        async with self._context.work_folder() as folder:
            half = folder / new_id()
            layer = storing.write_layer(
                self._context,
                half,
                _standing_on(leaf),
                lambda _: None,
                parent=None,
                sector_size=self.disk.sector_size,
            )
            layer = replace(layer, linked=files)
            return self._record([layer], [(layer, half)], settings, reference)

    def _check_linkable(self, leaf: LayerInfo) -> None:
        own, root = self._context.driver.abilities.disk_format, self._context.paths.root
        for each in self._sources:
            if each.info.path.resolve().is_relative_to(root.resolve()):
                raise InvalidInput(
                    f'the disk "{each.info.path}" is inside "{root}", where it goes with what it belongs to', hint=_COPY
                )
            if each.info.format == own:
                continue
            usual = each.info.sector_size == SECTOR
            if each.info.parent or not usual or each.info.format not in self._context.driver.abilities.parent_formats:
                noun = "differencing " if each.info.parent else ""
                other = "" if usual else f" with sectors of {each.info.sector_size} bytes"
                raise Unsupported(
                    f'the disk "{leaf.path}" can\'t be linked: the driver "{self._context.driver.abilities.name}" '
                    f'does not open the {noun}{each.info.format} disk "{each.info.path}"{other}',
                    hint=_COPY,
                )

    async def _layer(
        self, step: str, source: OpenLayer, folder: Path, parent: Layer | None, parent_folder: Path | None
    ) -> tuple[Layer, Path]:
        context, half, sector_size = self._context, folder / new_id(), self.disk.sector_size
        if parent is not None and parent_folder is None:
            parent_folder = context.paths.layer(parent.id)

        def job(steps: Steps) -> Layer:
            size = source.info.size
            new = storing.new_layer(
                context, half.name, size, sector_size=sector_size, parent=parent, folder=parent_folder
            )
            return storing.write_layer(
                context,
                half,
                new,
                lambda writer: transfer(View([source]), writer, steps),
                parent=parent.id if parent else None,
                sector_size=sector_size,
            )

        layer = await diskwork.do(step, job, progress=self._progress)
        return replace(layer, origin=origins.of(source)), half

    def _check_unchanged(self) -> None:
        for source, before in zip(self._sources, self._before, strict=True):
            if linked.identify(source.info.path) != before:
                raise Conflict(
                    f'the disk "{source.info.path}" was written to while it was read', hint="stop what uses it"
                )

    def _record(
        self, stack: Sequence[Layer], fresh: list[tuple[Layer, Path]], settings: Settings, reference: Reference | None
    ) -> Image:
        leaf = self._sources[-1].info.path
        steps = [
            History(layer.created, f"import {source.info.path.name}", "", layer.size)
            for layer, source in zip(stack, self._sources[-len(stack) :], strict=True)
        ]
        image = with_id(
            Image(
                id="",
                layers=tuple(layer.id for layer in stack),
                config=_config(self.disk, settings),
                created=now(),
                comment=f"imported from {leaf.name}",
                history=tuple(steps),
            )
        )
        storing.record(self._context, fresh, image, (reference,) if reference else ())
        return image


def _standing_on(leaf: LayerInfo) -> NewLayer:
    """An empty layer on a file that stays where it is, wherever our own root goes: its path is absolute."""
    place = RecordedPath(PathKind.ABSOLUTE, str(leaf.path), windows=sys.platform == "win32")
    identities = (leaf.identity.content,) if leaf.identity.content else ()
    return NewLayer(
        leaf.size,
        Allocation.DIFFERENCING,
        sector_size=leaf.sector_size,
        parent=ParentReference((place,), identities, leaf.format),
        disk_id=leaf.identity.disk,
    )


def _boot_warnings(disk: sectors.Disk, config: ImageConfig) -> tuple[str, ...]:
    contents = disk.contents
    if config.boot or (contents.bios if config.generation == 1 else contents.uefi):
        return ()
    if contents.bios or contents.uefi:
        named, other, number = ("BIOS", "UEFI", 2) if config.generation == 1 else ("UEFI", "BIOS", 1)
        return (f"no {named} finds anything to start on the disk, but a {other} does: --generation {number}",)
    if config.generation == 1 and disk.sector_size != SECTOR:
        return (f"no BIOS can read a disk with sectors of {disk.sector_size} bytes: --generation 2",)
    hint = "an image that has the same system, and a kernel of its own, lends it with --like IMAGE"
    return (f"neither a BIOS nor UEFI finds anything to start on the disk; {hint}",)


def _config(disk: sectors.Disk, settings: Settings) -> ImageConfig:
    config = settings.like.config if settings.like else _suggested(disk)
    return replace(
        config,
        generation=settings.generation or config.generation,
        hardware=settings.hardware or config.hardware,
        cpus=settings.cpus or config.cpus,
        memory=settings.memory or config.memory,
    )


def _suggested(disk: sectors.Disk) -> ImageConfig:
    """What the disk suggests: a BIOS boots what it can, as it needs nothing more; what is not Windows has drivers for all."""
    contents = disk.contents
    windows = contents.system == "windows"
    only_uefi = disk.sector_size != SECTOR or (contents.uefi and not contents.bios)
    return ImageConfig(
        os=contents.system or ImageConfig.os,
        generation=2 if only_uefi else 1,
        hardware=Hardware.COMMON if windows else Hardware.VIRTUAL,
        init=FIRMWARE,
        memory=_memory(windows=windows),
    )


def _memory(*, windows: bool) -> int:
    """Bytes that a whole system starts with: those that were imported are larger than ours."""
    return (2 if windows else 1) * GIB
