"""Putting a new file in the place of a layer."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Allocation, Layer, LayerInfo, LayerWriter, NewLayer
from ireko.disk.chain import Chain
from ireko.disk.errors import DiskError, told
from ireko.disk.files import DiskFile, real_path
from ireko.disk.formats import SECTORED, create_layer, open_layer
from ireko.disk.links import Folders, candidates
from ireko.disk.seals import Seal, read_seal, seal_path, state_of, write_seal
from ireko.disk.use import refuse_use
from ireko.errors import Conflict, InvalidInput, NotFound

_SUFFIXES = frozenset({".vhdx", ".avhdx", ".vhd", ".avhd", ".qcow2"})


def same_as(info: LayerInfo, *, any_sector: bool = False) -> NewLayer:
    """A new layer like one that exists, with its identities.

    `any_sector`: what it will hold may be other than whole blocks of the old one; for qcow2's overlays that makes a difference.
    """
    child = info.parent is not None
    smaller = any_sector or "subclusters" in info.details
    return NewLayer(
        info.size,
        Allocation.DIFFERENCING if child else info.allocation,
        sector_size=info.sector_size,
        physical_sector_size=info.physical_sector_size if info.format == "vhdx" else 0,
        block_size=0 if child and info.format == "qcow2" and smaller else info.block_size,
        parent=info.parent,
        content_id=info.identity.content,
        disk_id=info.identity.disk,
        kept=info.kept,
    )


def rewrite(
    info: LayerInfo,
    new: NewLayer,
    fill: Callable[[LayerWriter], None],
    *,
    done_with: Layer | Chain,
    seal: Seal | None = None,
) -> None:
    """Put a new file of the same format in a layer's place, with the same owner and mode; links that lead there stay.

    What the content came from is closed before: a file that is open can't be replaced on Windows. `seal` is what the layer is
    sealed with, None for nothing. The old seal goes first: a layer without one is as good as it was, one with a wrong one is not.
    Raises Conflict when a machine writes to the layer, at the start or at the end, when somebody writes to what is read, and
    when it holds snapshots.
    """
    refuse_use(info.path)
    refuse_snapshots(info)
    path = real_path(info.path)
    with told(info.path):
        like = path.stat()
    with create_layer(path, new, format_name=info.format, replace=True, like=like) as writer:
        with left_alone(done_with.layers if isinstance(done_with, Chain) else [done_with]):
            fill(writer)
        done_with.close()
        refuse_use(info.path)
        remove_seal(info.path)
        if sys.platform == "win32":
            path.chmod(stat.S_IWRITE)  # a read-only file can't be replaced there
        writer.finish()
    if seal:
        with DiskFile(info.path) as file:
            length, modified = state_of(file)
        write_seal(info.path, replace(seal, length=length, modified=modified))


@contextlib.contextmanager
def left_alone(layers: Sequence[Layer]) -> Iterator[None]:
    """Raises Conflict at its end when one of some layers was written to meanwhile: what was read could be half old, half new."""
    before = [state_of(layer.file) for layer in layers]
    yield
    for layer, state in zip(layers, before, strict=True):
        layer.file.finish_copies()
        if state_of(layer.file) != state:
            raise Conflict(f'the disk "{layer.info.path}" was written to while it was read', hint="stop what uses it")


def refuse_snapshots(info: LayerInfo) -> None:
    """Raises Conflict for a file that holds other states of the disk: they would be gone with it."""
    if info.snapshots:
        count = f"{info.snapshots} internal snapshot{'' if info.snapshots == 1 else 's'}"
        hint = f"qemu-img snapshot -l {shlex.quote(str(info.path))} lists them, and with -d NAME for -l deletes one"
        raise Conflict(f'the disk "{info.path}" holds {count}, which would be lost', hint=hint)


def remove_seal(path: Path) -> None:
    """Take a layer's seal away, when it has one."""
    with told(seal_path(path)):
        seal_path(path).unlink(missing_ok=True)


def disks_in(folders: Sequence[Path], suffixes: Collection[str] = _SUFFIXES) -> Iterator[Path]:
    """The disk files in and below some folders, by their suffixes; raw ones are not known as such."""
    for folder in folders:
        for parent, _, names in os.walk(folder):
            yield from (Path(parent) / name for name in sorted(names) if Path(name).suffix.lower() in suffixes)


def children_of(parent: Path, folders: Sequence[Path]) -> list[Path]:
    """The disks in some folders that name a disk as their parent. What is no readable disk has none."""
    allowed = Folders(folders)
    return [path for path in dict.fromkeys(disks_in(folders)) if _is_child(path, parent, allowed)]


def _is_child(path: Path, parent: Path, folders: Folders) -> bool:
    try:
        with open_layer(path) as layer:
            reference = layer.info.parent
    except (DiskError, NotFound):
        return False
    if reference is None:
        return False
    return any(folders.allow(each) and same_file(each, parent) for each in candidates(path, reference, folders))


def same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file that is there."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def refuse_children(path: Path, folders: Sequence[Path], *, but: Path | None = None) -> None:
    """Raises Conflict when disks, other than one, stand on a disk."""
    found = [each for each in children_of(path, folders) if but is None or not same_file(each, but)]
    if found:
        names = ", ".join(f'"{each}"' for each in found)
        raise Conflict(f'other disks stand on "{path}" and would break: {names}')


def refuse_smaller(path: Path, size: int, format_name: str, parent: LayerInfo) -> None:
    """Raises InvalidInput for a disk that would be smaller than its parent, where its format has no such disks."""
    if format_name in SECTORED and size < parent.size:
        raise InvalidInput(
            f'the disk "{path}" would have {size} bytes, its parent "{parent.path}" has {parent.size}: '
            f"{format_name} has no disks that are smaller than their parents"
        )


def refuse_overwriting(target: Path, layers: Sequence[Layer]) -> None:
    """Raises Conflict when a file can't be replaced by what is made from some layers: it is one of them, or sealed."""
    if any(same_file(target, layer.info.path) for layer in layers):
        raise Conflict(f'the new disk is made from "{target}", so it can\'t take its place')
    if target.exists() and read_seal(target):
        raise Conflict(f'the disk "{target}" is sealed, so it stays', hint="give the new disk another name")


def allowed_folders(path: Path, within: Sequence[Path]) -> tuple[Path, ...]:
    """The folders that were given, or the disk's own."""
    return tuple(within) or (path.absolute().parent,)
