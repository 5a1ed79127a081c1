"""From a layer to its parent. A recorded path is data from a stranger: nothing outside the allowed folders is touched."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from ireko.disk.base import Layer, LayerInfo, ParentReference, PathKind, RecordedPath
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.formats import SECTORED, format_named, open_layer
from ireko.disk.seals import intact_seal, read_seal, seal_path
from ireko.errors import InvalidInput, IrekoError, NotFound

_WINDOWS = sys.platform == "win32"
_QEMU_NAMES = {"vhd": "vpc"}


class ChainBroken(DiskDamaged):
    """A layer's parent is missing, is not the one it was made on, or can't be looked for."""

    verdict = "has no parent it could be read with"


class Folders:
    """The folders in which parents may lie; what lies below them counts."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._given = [os.path.normcase(os.path.abspath(each)) for each in folders]  # noqa: PTH100 - links stay
        self._real = [os.path.normcase(os.path.realpath(each)) for each in folders]
        self.paths = tuple(folders)
        self._known: dict[str, str] = {}

    def allow(self, path: Path) -> bool:
        """Whether a path is inside, as it is written and after all links are followed.

        The first is looked at first: on Windows a path can name another machine, which would be asked for it.
        """
        written = os.path.normcase(os.path.abspath(path))  # noqa: PTH100 - links stay
        if not any(_inside(written, each) for each in {*self._given, *self._real}):
            return False
        real = os.path.normcase(self._followed(path))
        return any(_inside(real, each) for each in self._real)

    def _followed(self, path: Path) -> str:
        """A path with all links followed; those of a folder are looked at once, as a chain's layers mostly lie in one."""
        folder, name = os.path.split(path)
        if name in {"", ".", ".."} or os.path.islink(path):  # noqa: PTH114 - as a text
            return os.path.realpath(path)
        if folder not in self._known:
            self._known[folder] = os.path.realpath(folder)
        return os.path.join(self._known[folder], name)  # noqa: PTH118 - as a text


def _inside(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))  # noqa: PTH118 - a text, with a separator at its end


def candidates(child: Path, reference: ParentReference, folders: Folders) -> Iterator[Path]:
    """Where a parent may be: where the child says, then, when its identity can prove it, under its name in a folder of ours.

    There a name that was recorded on Windows fits in upper and lower case, as it does on Windows itself.
    """
    yield from recorded_places(child, reference)
    if reference.identities:
        names = dict.fromkeys(each.pure().name for each in _named(reference))
        for name in names:
            yield from (folder / name for folder in (child.parent, *folders.paths))
        if not _WINDOWS and names and any(each.windows for each in reference.paths):
            yield from _in_any_case(tuple(names), (child.parent, *folders.paths), folders)


def recorded_places(child: Path, reference: ParentReference) -> Iterator[Path]:
    """Where the child itself says that its parent is, as far as that means something on this system."""
    for recorded in _named(reference):
        if (path := _native(child, recorded, recorded.pure())) is not None:
            yield path


def _named(reference: ParentReference) -> list[RecordedPath]:
    """The recorded paths that can be those of a file."""
    return [each for each in reference.paths if "\0" not in each.text and each.pure().name]


def _in_any_case(names: Sequence[str], places: Iterable[Path], folders: Folders) -> Iterator[Path]:
    """The files in some folders, as far as those are allowed, whose names differ from others at most in their case."""
    wanted = {name.casefold() for name in names}
    for folder in dict.fromkeys(places):
        if folders.allow(folder / names[0]):
            yield from (path for path in _files_of(folder) if path.name.casefold() in wanted)


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _native(child: Path, recorded: RecordedPath, pure: PurePath) -> Path | None:
    """A recorded path as one of this system; None when it means nothing here."""
    if recorded.kind is PathKind.RELATIVE:
        return None if pure.is_absolute() or pure.drive else child.parent.joinpath(*pure.parts)
    return Path(recorded.text) if recorded.windows is _WINDOWS else None


def open_parent(layer: Layer, folders: Folders) -> Layer | None:
    """The layer's parent, proven as far as the format can; None for a base. Raises ChainBroken and the errors of `open_layer`."""
    reference = layer.info.parent
    if reference is None:
        return None
    problem: IrekoError | None = _no_place(layer.info)
    for path in _once(candidates(layer.info.path, reference, folders)):
        if not folders.allow(path):
            problem = problem or _outside(layer.info, path, folders)
            continue
        found = _open(layer.info, path, reference.format)
        if isinstance(found, Layer):
            if (wrong := _mismatch_or_error(layer, found)) is None:
                return found
            found.close()
            problem = wrong
        elif not isinstance(found, NotFound):
            problem = found
    raise problem or _missing(layer.info)


def _once(paths: Iterator[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if path not in seen:
            seen.add(path)
            yield path


def _open(child: LayerInfo, path: Path, name: str) -> Layer | IrekoError:
    try:
        if name:
            format_named(name)
    except InvalidInput:
        return DiskUnsupported(child.path, "the parent's format", found=f'"{name}"', wanted="one that is read here")
    try:
        return open_layer(path, format_name=name)
    except IrekoError as error:
        return error


def _mismatch_or_error(child: Layer, parent: Layer) -> IrekoError | None:
    try:
        return _mismatch(child, parent)
    except IrekoError as error:
        return error


def _mismatch(child: Layer, parent: Layer) -> ChainBroken | None:
    """What speaks against a parent."""
    info, reference = child.info, child.info.parent
    assert reference is not None
    identity, name = parent.info.identity.content, f'the parent "{parent.info.path}"'
    if reference.identities and identity not in reference.identities:
        wanted = f"{' or '.join(reference.identities)}, as when the child was made"
        return ChainBroken(info.path, f"the identity of {name}", found=identity or "none", wanted=wanted)
    if info.format in SECTORED and info.sector_size != parent.info.sector_size:
        found, wanted = parent.info.sector_size, f"{info.sector_size}, the child's"
        return ChainBroken(info.path, f"the sector size of {name}", found=found, wanted=wanted)
    if info.format in SECTORED and info.size < parent.info.size:
        found, wanted = parent.info.size, f"{info.size}, the child's, or less"
        return ChainBroken(info.path, f"the size of {name}", found=found, wanted=wanted)
    return _seal_mismatch(child, parent)


def _seal_mismatch(child: Layer, parent: Layer) -> ChainBroken | None:
    sealed = intact_seal(parent)
    own = read_seal(child.info.path) if sealed else None
    if own and sealed and own.parent_chain_id != sealed.chain_id:
        structure = f'the content of the parent "{parent.info.path}"'
        wanted = f"{own.parent_chain_id}, as when the child was sealed"
        return ChainBroken(child.info.path, structure, found=sealed.chain_id, wanted=wanted)
    return None


def _no_place(child: LayerInfo) -> ChainBroken | None:
    assert child.parent is not None
    if child.parent.paths:
        return None
    found = f'"{child.details.get("backing file", "")}"'
    wanted = "the path of a file"
    return ChainBroken(child.path, "the parent's name", found=found, wanted=wanted, hint=unproven_hint(child))


def _outside(child: LayerInfo, path: Path, folders: Folders) -> ChainBroken:
    allowed = ", ".join(f'"{each}"' for each in folders.paths)
    return ChainBroken(
        child.path,
        "the parent's place",
        found=f'"{path}"',
        wanted=f"inside {allowed}",
        hint="--parents DIR allows another folder, if you trust where the disk comes from",
    )


def _missing(child: LayerInfo) -> ChainBroken:
    assert child.parent is not None
    names = " and ".join(f'"{each.text}"' for each in child.parent.paths)
    return ChainBroken(
        child.path,
        "the parent",
        found=f"missing at {names}",
        wanted="where the child says",
        hint=_repair_hint(child),
    )


def _repair_hint(child: LayerInfo) -> str:
    assert child.parent is not None
    if child.parent.identities or child.format != "qcow2" or seal_path(child.path).exists():
        return f"ireko disk repair {shlex.quote(str(child.path))} --parent FILE"
    return unproven_hint(child)


def unproven_hint(child: LayerInfo, parent: str = "PARENT", format_name: str = "") -> str:
    """What has a qcow2 disk point to a parent that nothing proves to be the one; whoever does that has to know it.

    `parent` is its path as the child's folder sees it, `format_name` its format, by default the recorded one.
    """
    name = format_name or (child.parent.format if child.parent else "") or "FORMAT"
    form = _QEMU_NAMES.get(name, name)
    return f"qemu-img rebase -u -F {form} -b {shlex.quote(parent)} {shlex.quote(str(child.path))}"
