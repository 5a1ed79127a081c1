"""Images come out of an archive into the store: what is here already is shared, the rest is written anew.

Every layer is read and held to its diff id, also one that is here already. What is stored is a file of our own with the same
content: nothing of a stranger's file but the guest's bytes gets into the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ireko.disk.base import Layer as OpenLayer
from ireko.disk.base import NewLayer
from ireko.disk.base import Progress as Steps
from ireko.disk.delta import diff_id, identity_of, read_delta, write_delta
from ireko.disk.errors import DiskError
from ireko.disk.files import DiskFile
from ireko.disk.formats import SECTORED, open_layer
from ireko.engine import diskwork, layers, machines, storing
from ireko.engine.archives.manifest import StoredImage, StoredLayer
from ireko.engine.archives.receiving import Received, Receiver
from ireko.engine.context import Context, to_its_end
from ireko.errors import Damaged, InvalidInput, IrekoError
from ireko.model.image import Image, Layer, with_id
from ireko.model.names import Reference, new_id
from ireko.model.recipe import Progress

_PIECE = 1 << 20


@dataclass(frozen=True)
class Loaded:
    """An image that came, or was here already, and the names that it got."""

    image: Image
    references: tuple[Reference, ...]


class Loader:
    """Takes archives in."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def load_file(self, path: Path, *, reference: Reference | None, progress: Progress) -> tuple[Loaded, ...]:
        """The images of an archive in a file of this host. With `reference` its one image gets this name and no other.

        Raises NotFound, InvalidInput, Unsupported, Damaged, NoSpace. Then nothing is stored; of several
        images those before the one that there was no room to record.
        """
        if not path.is_absolute():
            raise InvalidInput(f'the path "{path}" must be absolute')
        async with self._context.work_folder() as folder:
            receive = partial(_receive, path, folder)
            received = await diskwork.do("reading the archive", receive, progress=progress)
            return await self._store(received, folder, reference, progress)

    async def load(
        self, pieces: AsyncIterator[bytes], *, reference: Reference | None, progress: Progress
    ) -> tuple[Loaded, ...]:
        """The same, of an archive that comes as a stream."""
        async with self._context.work_folder() as folder:
            received = await _receive_stream(pieces, folder, progress)
            return await self._store(received, folder, reference, progress)

    async def _store(
        self, received: Received, folder: Path, reference: Reference | None, progress: Progress
    ) -> tuple[Loaded, ...]:
        images = received.manifest.images
        if reference is not None and len(images) > 1:
            raise InvalidInput(f"the archive has {len(images)} images, which can't all be called {reference}")
        # one at a time, so that none overlooks the layers that another brings
        async with self._context.locks("archives"):
            work = _Store(self._context, received, folder, progress)
            async with work.kept():
                await work.take_layers()
                await work.take_kernels()
                return tuple([work.record(each, reference) for each in images])


class _Store:
    """One archive on its way into the store."""

    def __init__(self, context: Context, received: Received, folder: Path, progress: Progress) -> None:
        self._context = context
        self._received = received
        self._folder = folder
        self._progress = progress
        self._here = _known(context, received.manifest.layers)
        """By what they show."""
        self._layers: dict[str, Layer] = {}
        """By the id that the archive has for it: what is here now, or will be."""
        self._fresh: dict[str, Path] = {}
        """The folders of what is not recorded yet, by the layer's own id."""
        self._boots: dict[str, Path] = {}

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep what the archive shares with the store until its images are recorded."""
        async with layers.holding(self._context, *(layer.id for layer in self._here.values())):
            yield

    async def take_layers(self) -> None:
        """Check all layers, and write those that are not here."""
        stored = self._received.manifest.layers
        for number, each in enumerate(stored, start=1):
            here = self._here.get(_shown(each))
            step = f"layer {number} of {len(stored)}"
            if here is not None:
                await diskwork.do(f"checking {step}", partial(self._check, each), progress=self._progress)
                self._layers[each.id] = here
            else:
                write = partial(self._write, each, self._free_id(each.id))
                self._layers[each.id] = await diskwork.do(f"storing {step}", write, progress=self._progress)

    async def take_kernels(self) -> None:
        """Get ready what the images boot with."""
        for boot in self._received.manifest.boots:
            kernel, initrd = (self._received.paths[each.name] for each in (boot.kernel, boot.initrd))
            made = await to_its_end(asyncio.to_thread(storing.prepare_boot, self._context, kernel, initrd))
            if made.name != boot.id:
                raise Damaged(f'the archive\'s kernel "{boot.id}" is "{made.name}"')
            self._boots[boot.id] = made

    def record(self, stored: StoredImage, reference: Reference | None) -> Loaded:
        """Record an image with what it needs. Nothing is awaited, so that nothing goes between two images."""
        top = self._layers[stored.image.top]
        stack = [top, *self._below(top)][::-1]
        image = with_id(replace(stored.image, layers=tuple(each.id for each in stack)))
        references = (reference,) if reference else tuple(map(Reference.parse, stored.names))
        if image.id in self._context.database.images:
            self._name(image, references)
        else:
            fresh = [(each, self._fresh.pop(each.id)) for each in stack if each.id in self._fresh]
            boot = self._boots.get(image.config.boot.id) if image.config.boot else None
            storing.record(self._context, fresh, image, references, boot=boot)
        return Loaded(image, references)

    def _name(self, image: Image, references: Sequence[Reference]) -> None:
        missing = [each for each in references if self._context.database.tags.get(each) != image.id]
        if missing:
            with self._context.database.change() as change:
                for each in missing:
                    change.tag(each, image.id)
        for each in missing:
            self._context.events.publish("image", "tag", image.id, {"name": str(each)})

    def _below(self, layer: Layer) -> list[Layer]:
        """The ancestors of a layer that is recorded, or will be."""
        fresh = {each.id: each for each in self._layers.values()}
        found: list[Layer] = []
        while layer.parent is not None:
            layer = self._context.database.layers.get(layer.parent) or fresh[layer.parent]
            found.append(layer)
        return found

    def _check(self, stored: StoredLayer, steps: Steps) -> None:
        with self._open(stored) as source:
            _hold(stored, diff_id(source, steps))
        self._received.paths[stored.file.name].unlink()

    def _write(self, stored: StoredLayer, layer_id: str, steps: Steps) -> Layer:
        context = self._context
        parent = self._layers[stored.parent] if stored.parent else None
        half = self._folder / layer_id
        with self._open(stored) as source:
            layer = storing.write_layer(
                context,
                half,
                self._new(stored, source, layer_id, parent),
                lambda writer: _hold(stored, write_delta(read_delta(source, steps), writer)),
                parent=parent.id if parent else None,
                sector_size=stored.sector_size,
            )
        self._received.paths[stored.file.name].unlink()
        self._fresh[layer_id] = half
        return replace(layer, diff_id=stored.diff_id, chain_id=stored.chain_id, created=stored.created)

    def _new(self, stored: StoredLayer, source: OpenLayer, layer_id: str, parent: Layer | None) -> NewLayer:
        identity = identity_of(stored.chain_id)
        folder = self._fresh.get(parent.id, self._context.paths.layer(parent.id)) if parent else None
        size, sector_size = source.info.size, stored.sector_size
        new = storing.new_layer(self._context, layer_id, size, sector_size=sector_size, parent=parent, folder=folder)
        return replace(new, content_id=identity, disk_id=new.disk_id if parent else identity)

    @contextlib.contextmanager
    def _open(self, stored: StoredLayer) -> Iterator[OpenLayer]:
        """A layer's file, which holds together so far. Raises Damaged with the entry's name."""
        try:
            with open_layer(self._received.paths[stored.file.name], format_name=stored.format) as source:
                _check_shape(stored, source)
                yield source
        except DiskError as error:
            found = f"{error.structure} is {error.found}, it must be {error.wanted}"
            raise Damaged(f'the archive\'s "{stored.file.name}" is damaged: {found}') from error

    def _free_id(self, wanted: str) -> str:
        """The id that the layer had elsewhere, when nothing here is called so."""
        database = self._context.database
        taken = {
            *database.layers,
            *database.broken_keys("layers"),
            *(each.layer for each in database.operations.values()),
        }
        return new_id() if wanted in taken or self._context.paths.layer(wanted).exists() else wanted


def _shown(layer: Layer | StoredLayer) -> tuple[str, int]:
    """What a guest is shown by a layer with all below it: content, and how large its sectors are."""
    return layer.chain_id, layer.sector_size


def _known(context: Context, wanted: Sequence[StoredLayer]) -> dict[tuple[str, int], Layer]:
    """The wanted layers that are here, by what they show: whole, and without files of somebody else's."""
    here = {_shown(each): each for each in context.database.layers.values() if each.chain_id}
    by_id = {each.id: each for each in wanted}
    found: dict[tuple[str, int], Layer] = {}
    for each in reversed(wanted):
        layer = found.get(_shown(each)) or here.get(_shown(each))
        if layer is None or not _usable(context, layer):
            continue
        found[_shown(each)] = layer
        if each.parent and layer.parent:  # which need not have a chain id yet
            found.setdefault(_shown(by_id[each.parent]), context.database.layers[layer.parent])
    return found


def _usable(context: Context, layer: Layer) -> bool:
    try:
        machines.check_chain(context, layer.id)
    except IrekoError:
        return False
    return not any(each.linked for each in machines.chain(context, layer.id))


def _receive(path: Path, folder: Path, steps: Steps) -> Received:
    with DiskFile(path) as file, contextlib.closing(Receiver(folder, steps)) as receiver:
        length = file.length()
        steps.begin(length)
        place = 0
        while piece := file.read(place, _PIECE):
            receiver.feed(piece)
            place += len(piece)
            steps.advance(len(piece))
        return receiver.finish()


async def _receive_stream(pieces: AsyncIterator[bytes], folder: Path, progress: Progress) -> Received:
    held, done, steps = bytearray(), 0, Steps()
    progress("receiving", None, None)
    with contextlib.closing(Receiver(folder, steps)) as receiver:
        async for piece in pieces:
            held += piece
            if len(held) >= _PIECE:
                await diskwork.stoppable(partial(receiver.feed, bytes(held)), steps)
                done += len(held)
                held.clear()
                progress("receiving", done, None)
        await diskwork.stoppable(partial(receiver.feed, bytes(held)), steps)
        return await diskwork.stoppable(receiver.finish, steps)


def _check_shape(stored: StoredLayer, source: OpenLayer) -> None:
    name = stored.file.name
    if source.info.size != stored.capacity:
        raise Damaged(f'the archive\'s "{name}" is a disk of {source.info.size} bytes, it must have {stored.capacity}')
    if source.info.format in SECTORED and source.info.sector_size != stored.sector_size:
        size = source.info.sector_size
        raise Damaged(f'the archive\'s "{name}" has sectors of {size} bytes, they must have {stored.sector_size}')
    if (source.info.parent is None) is not (stored.parent is None):
        found = "a parent" if source.info.parent else "no parent"
        raise Damaged(f'the archive\'s "{name}" is a disk with {found}, its manifest says otherwise')


def _hold(stored: StoredLayer, found: str) -> None:
    if found != stored.diff_id:
        raise Damaged(f'the archive\'s "{stored.file.name}" adds {found}, it must add {stored.diff_id}')
