"""What an archive says of itself: docs/archive.md defines each field."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ireko.disk.chain import LONGEST
from ireko.disk.delta import chain_id
from ireko.errors import Damaged, InvalidInput, Unsupported
from ireko.model.image import NATIVE_SECTOR, SECTOR, Image
from ireko.model.names import Reference, short

KIND, VERSION = "ireko-images", 1
MARK = "ireko.json"
"""The first entry: what this is, so that nobody has to read all of it to know."""
MANIFEST, SUMS = "manifest.json", "sha256sums"
FORMATS = ("qcow2", "vhdx")
"""Those whose disks can stand on others."""
ENTRY = re.compile(
    rf"{re.escape(MARK)}|{re.escape(MANIFEST)}|{re.escape(SUMS)}"
    rf"|layers/[1-9][0-9]{{0,3}}\.(?:{'|'.join(FORMATS)})|boot/[0-9a-f]{{64}}/(?:kernel|initrd)"
)
"""The names that entries may have."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Mark:
    """What the first entry says."""

    kind: str = KIND
    version: int = VERSION


@dataclass(frozen=True)
class StoredFile:
    """A file of the archive: the entry's name, its bytes, and their SHA-256 in hexadecimal."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True)
class StoredLayer:
    """A layer. `parent` is the id of one that stands before it; the ids of its content are those of `ireko.disk.delta`.

    `sector_size` is what a guest sees, whatever the file says.
    """

    id: str
    parent: str | None
    file: StoredFile
    format: str
    capacity: int
    diff_id: str
    chain_id: str
    created: datetime
    sector_size: int = SECTOR


@dataclass(frozen=True)
class StoredBoot:
    """A kernel and its initrd; `id` is what images call them by."""

    id: str
    kernel: StoredFile
    initrd: StoredFile


@dataclass(frozen=True)
class StoredImage:
    """An image and the names that it had."""

    names: tuple[str, ...]
    image: Image


@dataclass(frozen=True)
class Manifest:
    """All of it."""

    kind: str
    version: int
    layers: tuple[StoredLayer, ...]
    boots: tuple[StoredBoot, ...]
    images: tuple[StoredImage, ...]

    def files(self) -> list[StoredFile]:
        """Every file, each once."""
        kernels = [file for boot in self.boots for file in (boot.kernel, boot.initrd)]
        return [*kernels, *(layer.file for layer in self.layers)]


def encode(value: Mark | Manifest) -> bytes:
    """As it stands in an archive."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def sums(digests: Mapping[str, str]) -> bytes:
    """The last entry: the SHA-256 of every other, by their names, as sha256sum writes and checks them."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()


def check_mark(data: bytes) -> None:
    """Raises Unsupported for an archive of another version, Damaged for what is no mark."""
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"the archive's \"{MARK}\" can't be read: {error}") from error
    if mark.kind != KIND:
        raise Damaged(f'the archive\'s kind is "{mark.kind}", it must be "{KIND}"')
    if mark.version != VERSION:
        raise Unsupported(
            f"the archive is of version {mark.version}, this ireko reads version {VERSION}",
            hint="use the ireko that wrote it, or a newer one",
        )


def decode(data: bytes) -> Manifest:
    """A manifest that holds together; whether the files are as it says is not known yet. Raises Damaged."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
        _check(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Damaged(f"the archive's \"{MANIFEST}\" can't be used: {error}") from error
    except InvalidInput as error:
        raise Damaged(f"the archive's \"{MANIFEST}\" can't be used: {error.message}") from error
    return found


def boot_id(kernel: bytes, initrd: bytes) -> str:
    """What the store calls a kernel and an initrd by, from the SHA-256 of each."""
    return hashlib.sha256(kernel + initrd).hexdigest()


def _check(manifest: Manifest) -> None:
    """Raises ValueError with what is wrong; InvalidInput for names that no image can have."""
    if (manifest.kind, manifest.version) != (KIND, VERSION):
        raise ValueError(f'it is of the kind "{manifest.kind}" and version {manifest.version}')
    for file in manifest.files():
        _check_that(bool(_HEX.fullmatch(file.sha256)) and file.length >= 0, f'the file "{file.name}"')
    _check_once("the file", (file.name for file in manifest.files()))
    _check_once("the layer", (layer.id for layer in manifest.layers))
    _check_once("the kernel", (boot.id for boot in manifest.boots))
    layers: dict[str, StoredLayer] = {}
    for number, layer in enumerate(manifest.layers, start=1):
        _check_layer(number, layer, layers)
        layers[layer.id] = layer
    for boot in manifest.boots:
        _check_boot(boot)
    for stored in manifest.images:
        _check_image(stored, layers, {boot.id for boot in manifest.boots})
    _check_that(bool(manifest.images), "the number of images, 0,")
    _check_all_used(manifest)


def _check_layer(number: int, layer: StoredLayer, before: dict[str, StoredLayer]) -> None:
    noun = f'the layer "{short(layer.id)}"'
    _check_that(bool(_HEX.fullmatch(layer.id)), f'the layer\'s id "{layer.id}"')
    _check_that(layer.format in FORMATS, f'{noun}\'s format "{layer.format}"')
    _check_that(layer.file.name == f"layers/{number}.{layer.format}", f'{noun}\'s file "{layer.file.name}"')
    _check_that(layer.capacity > 0, f"{noun}'s capacity {layer.capacity}")
    _check_that(layer.sector_size in {SECTOR, NATIVE_SECTOR}, f"{noun}'s sector size {layer.sector_size}")
    _check_that(layer.capacity % layer.sector_size == 0, f"{noun}'s last sector")
    _check_that(bool(_DIGEST.fullmatch(layer.diff_id)), f'{noun}\'s diff id "{layer.diff_id}"')
    _check_that(layer.parent is None or layer.parent in before, f'{noun}\'s parent "{layer.parent}"')
    if layer.parent:
        _check_that(before[layer.parent].sector_size == layer.sector_size, f"{noun}'s sector size {layer.sector_size}")
    below = before[layer.parent].chain_id if layer.parent else ""
    wanted = chain_id(below, layer.diff_id)
    _check_that(layer.chain_id == wanted, f'{noun}\'s chain id "{layer.chain_id}"')
    _check_that(layer.created.tzinfo is not None, f"{noun}'s time {layer.created}")


def _check_boot(boot: StoredBoot) -> None:
    wanted = boot_id(bytes.fromhex(boot.kernel.sha256), bytes.fromhex(boot.initrd.sha256))
    names = (f"boot/{wanted}/kernel", f"boot/{wanted}/initrd")
    _check_that(boot.id == wanted and names == (boot.kernel.name, boot.initrd.name), f'the kernel\'s id "{boot.id}"')


def _check_image(stored: StoredImage, layers: dict[str, StoredLayer], boots: set[str]) -> None:
    image, noun = stored.image, f'the image "{short(stored.image.id)}"'
    _check_that(bool(_DIGEST.fullmatch(image.id)), f'the image\'s id "{image.id}"')
    _check_that(0 < len(image.layers) <= LONGEST, f"{noun}'s number of layers, {len(image.layers)},")
    for below, layer in zip((None, *image.layers), image.layers, strict=False):
        _check_that(layer in layers and layers[layer].parent == below, f'{noun}\'s layer "{layer}"')
    _check_that(image.config.boot is None or image.config.boot.id in boots, f"{noun}'s kernel")
    _check_that(image.config.generation in {1, 2}, f"{noun}'s generation {image.config.generation}")
    _check_that(image.config.cpus > 0 and image.config.memory > 0, f"{noun}'s size as a machine")
    moments = [image.created, *(step.created for step in image.history)]
    _check_that(all(moment.tzinfo is not None for moment in moments), f"{noun}'s time")
    for name in stored.names:
        Reference.parse(name)


def _check_all_used(manifest: Manifest) -> None:
    layers = {layer for stored in manifest.images for layer in stored.image.layers}
    boots = {stored.image.config.boot.id for stored in manifest.images if stored.image.config.boot}
    for layer in manifest.layers:
        _check_that(layer.id in layers, f'the layer "{short(layer.id)}", which no image has,')
    for boot in manifest.boots:
        _check_that(boot.id in boots, f'the kernel "{short(boot.id)}", which no image has,')


def _check_that(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} is not as it must be")


def _check_once(noun: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    _check_that(not twice, f'{noun} "{twice[0] if twice else ""}", which stands there twice,')
