"""Writing an archive: entry by entry, in one pass, without knowing before how long each layer will be.

A layer that has the wanted format already is sent as it is; only its parent's name, in the file's head, is another. Any other is
written to a file first, which is gone again before the next one is begun. The manifest comes last, as it holds all checksums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ireko.disk.base import Allocation, LayerInfo, NewLayer, ParentReference, PathKind, RecordedPath
from ireko.disk.base import Progress as Steps
from ireko.disk.delta import identity_of, read_delta, write_delta
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer, described
from ireko.disk.qcow2.renamed import renamed_head
from ireko.engine import chains
from ireko.engine.archives import manifest, tarring
from ireko.engine.archives.contents import Contents
from ireko.engine.archives.manifest import Manifest, StoredBoot, StoredFile, StoredImage, StoredLayer
from ireko.engine.context import Context
from ireko.errors import Damaged, InvalidInput
from ireko.model.image import Layer
from ireko.model.names import short

PIECE = 1 << 20
"""Bytes that are sent at once, at most."""

_VHDX_BLOCK = 2 << 20
"""A block with anything in it is there as a whole, and a tar archive knows no holes."""


@dataclass(frozen=True)
class Entry:
    """One part of the archive: what is being done, and what does it, which blocks."""

    step: str
    pieces: Callable[[Steps], Iterator[bytes]]


class Kernels:
    """The kernels that images boot with, held open: an image may be removed while it is sent."""

    def __init__(self, context: Context, contents: Contents) -> None:
        self._files: dict[tuple[str, str], BinaryIO] = {}
        try:
            for boot in contents.boots:
                for name in ("kernel", "initrd"):
                    self._files[boot.id, name] = (context.paths.boot / boot.id / name).open("rb")
        except OSError as error:
            self.close()
            raise Damaged(f"the kernel of an image can't be read: {error}", hint="ireko doctor") from error

    def __iter__(self) -> Iterator[tuple[str, str, BinaryIO]]:
        yield from ((boot, name, file) for (boot, name), file in self._files.items())

    def close(self) -> None:
        """May be repeated."""
        for file in self._files.values():
            file.close()


class Writer:
    """Makes one archive. The entries' pieces are to be taken in order, all of them.

    `layers` are those of `contents`, with their ids; `folder` is where a layer in another format lies while it is sent.
    """

    def __init__(
        self, context: Context, contents: Contents, layers: tuple[Layer, ...], kernels: Kernels, *, format_name: str,
        folder: Path,
    ) -> None:  # fmt: skip
        self._context = context
        self._contents = contents
        self._layers = layers
        self._kernels = kernels
        self._format = format_name
        self._folder = folder
        self._modified = max(int(each.image.created.timestamp()) for each in contents.images)
        self._names = {layer.id: f"layers/{number}.{format_name}" for number, layer in enumerate(layers, start=1)}
        self._block_size = _VHDX_BLOCK if format_name == "vhdx" else 0
        self._files: dict[str, StoredFile] = {}
        self._written: dict[str, LayerInfo] = {}

    def entries(self) -> Iterator[Entry]:
        """All of them, in their order."""
        yield Entry("beginning", lambda _: self._small(manifest.MARK, manifest.encode(manifest.Mark())))
        for boot, name, file in self._kernels:
            yield Entry(f"{name} {short(boot)}", partial(self._kernel, boot, name, file))
        for number, layer in enumerate(self._layers, start=1):
            step = f"layer {number} of {len(self._layers)}"
            yield Entry(step, partial(self._layer, layer))
        yield Entry("manifest", lambda _: self._end())

    def _small(self, name: str, data: bytes) -> Iterator[bytes]:
        yield from self._entry(name, len(data), [data])

    def _entry(self, name: str, length: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        yield tarring.head(name, length, self._modified)
        digest, found = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            found += len(piece)
            yield piece
        if found != length:
            raise Damaged(
                f'"{name}" has {found} bytes, it had {length} when it was begun: the file behind it was changed'
            )
        yield tarring.padding(length)
        self._files[name] = StoredFile(name, length, digest.hexdigest())

    def _kernel(self, boot: str, name: str, file: BinaryIO, steps: Steps) -> Iterator[bytes]:
        length = file.seek(0, 2)
        file.seek(0)
        steps.begin(length)
        yield from self._entry(f"boot/{boot}/{name}", length, _counted(iter(lambda: file.read(PIECE), b""), steps))

    def _layer(self, layer: Layer, steps: Steps) -> Iterator[bytes]:
        path = self._context.paths.layer_disk(layer.id)
        if layer.format == self._format and not layer.linked:
            with DiskFile(path) as file:
                head = self._head(file, layer)
                if head is not None:
                    yield from self._file(file, self._names[layer.id], head, steps)
                    self._note(layer, path)
                    return
        half = self._folder / Path(self._names[layer.id]).name
        self._convert(layer, half, steps)
        self._note(layer, half)
        with DiskFile(half) as file:
            yield from self._file(file, self._names[layer.id], b"", steps)
        half.unlink()

    def _head(self, file: DiskFile, layer: Layer) -> bytes | None:
        """What a file begins with in the archive; None when that can't be had without writing all of it anew."""
        if layer.parent is None:
            return b""
        return renamed_head(file, Path(self._names[layer.parent]).name) if self._format == "qcow2" else None

    def _file(self, file: DiskFile, name: str, head: bytes, steps: Steps) -> Iterator[bytes]:
        length = file.length()
        steps.begin(length)
        yield from self._entry(name, length, _counted(_read(file, head, length), steps))

    def _note(self, layer: Layer, path: Path) -> None:
        self._written[layer.id] = described(path, self._format)

    def _convert(self, layer: Layer, target: Path, steps: Steps) -> None:
        with chains.source_of(self._context, layer) as source:
            new = self._child(layer) if layer.parent else self._base(layer)
            with create_layer(target, new, format_name=self._format) as writer:
                found = write_delta(read_delta(source, steps), writer)
                if found != layer.diff_id:
                    raise Damaged(f'the layer "{short(layer.id)}" adds {found}, it was known for {layer.diff_id}')
                writer.finish()

    def _base(self, layer: Layer) -> NewLayer:
        identity = identity_of(layer.chain_id)
        return NewLayer(
            layer.capacity,
            sector_size=layer.sector_size,
            block_size=self._block_size,
            content_id=identity,
            disk_id=identity,
        )

    def _child(self, layer: Layer) -> NewLayer:
        assert layer.parent is not None
        below = self._written[layer.parent]
        path = RecordedPath(PathKind.RELATIVE, Path(self._names[layer.parent]).name)
        identities = (below.identity.content,) if below.identity.content else ()
        return NewLayer(
            layer.capacity,
            Allocation.DIFFERENCING,
            sector_size=below.sector_size,
            block_size=self._block_size,
            parent=ParentReference((path,), identities, self._format),
            content_id=identity_of(layer.chain_id),
            disk_id=below.identity.disk,
        )

    def _end(self) -> Iterator[bytes]:
        data = manifest.encode(self._manifest())
        yield from self._small(manifest.MANIFEST, data)
        yield from self._small(manifest.SUMS, manifest.sums({name: file.sha256 for name, file in self._files.items()}))
        yield tarring.END

    def _manifest(self) -> Manifest:
        return Manifest(
            manifest.KIND,
            manifest.VERSION,
            tuple(self._stored(layer) for layer in self._layers),
            tuple(_stored_boot(boot.id, self._files) for boot in self._contents.boots),
            tuple(StoredImage(each.names, each.image) for each in self._contents.images),
        )

    def _stored(self, layer: Layer) -> StoredLayer:
        return StoredLayer(
            id=layer.id,
            parent=layer.parent,
            file=self._files[self._names[layer.id]],
            format=self._format,
            capacity=layer.capacity,
            diff_id=layer.diff_id,
            chain_id=layer.chain_id,
            created=layer.created,
            sector_size=layer.sector_size,
        )


def check_format(format_name: str) -> None:
    """Raises InvalidInput for a format whose disks can't stand on others."""
    if format_name not in manifest.FORMATS:
        raise InvalidInput(
            f'the layers of an image can\'t be "{format_name}": there are {" and ".join(manifest.FORMATS)}',
            hint="leave --tree out to have one disk that needs no other",
        )


def gathered(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same bytes in fewer pieces: what is small waits for more."""
    held = bytearray()
    for piece in pieces:
        if held and len(held) + len(piece) > PIECE:
            yield bytes(held)
            held.clear()
        if len(piece) >= PIECE:
            yield piece
        else:
            held += piece
    if held:
        yield bytes(held)


def _stored_boot(boot: str, files: Mapping[str, StoredFile]) -> StoredBoot:
    return StoredBoot(boot, files[f"boot/{boot}/kernel"], files[f"boot/{boot}/initrd"])


def _counted(pieces: Iterable[bytes], steps: Steps) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        steps.advance(len(piece))


def _read(file: DiskFile, head: bytes, length: int) -> Iterator[bytes]:
    if head:
        yield head
    place = len(head)
    while place < length and (piece := file.read(place, min(PIECE, length - place))):
        yield piece
        place += len(piece)
