"""An existing machine becomes an image, its checkpoints layers; the machine is left as it was."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ireko.disk.base import Progress as Steps
from ireko.disk.errors import DiskError, DiskUnsupported, told
from ireko.disk.formats import open_layer
from ireko.disk.links import Folders, candidates
from ireko.disk.operations.rewriting import disks_in
from ireko.drivers.base import ExistingMachine
from ireko.engine import diskwork, foreign
from ireko.engine.context import Context
from ireko.engine.importing import Imported, Importer, Settings, Source, is_folder
from ireko.errors import Ambiguous, Conflict, Denied, InvalidInput, IrekoError, Kind, NotFound
from ireko.model.names import Reference
from ireko.model.places import straight
from ireko.model.recipe import Progress

_NAMED = 5
_SAY_RAW = "--from raw"
"""What a disk's error advises that only an import knows."""
_NO_REPOSITORY = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True)
class _Found:
    """What was found of a machine."""

    name: str
    source: Source
    settings: Settings
    warnings: tuple[str, ...] = ()


class Adopter:
    """Makes images of machines."""

    def __init__(self, context: Context, importer: Importer) -> None:
        self._context = context
        self._importer = importer

    async def adopt(
        self,
        machine: str,
        *,
        reference: Reference | None,
        link: bool,
        within: tuple[Path, ...] = (),
        progress: Progress,
    ) -> Imported:
        """By the name that the hypervisor has for it, or the path of its folder, of what describes it, or of its disk.

        Without a name the image is called as the machine is. `link` and what is raised are as in Importer.bring; besides
        Conflict when the machine runs, Ambiguous when a folder has disks of several machines.
        """
        found = await self._find(machine, within, progress)
        try:
            made = await self._importer.bring(
                found.source, found.settings, reference=reference or _named(found.name), link=link, progress=progress
            )
        except DiskUnsupported as error:
            if _SAY_RAW in error.hint:
                error.hint = (
                    f"ireko image import {_SAY_RAW} {shlex.quote(str(found.source.path))}, when it is a raw disk"
                )
            raise
        return replace(made, warnings=(*found.warnings, *made.warnings))

    async def _find(self, machine: str, within: tuple[Path, ...], progress: Progress) -> _Found:
        path = Path(machine)
        folder = path.is_absolute() and is_folder(path)
        if path.is_absolute():
            with told(path):
                path = straight(path)
            machine = str(path)
        existing = await self._existing(machine)
        if existing is not None:
            if path.is_absolute():
                _check_inside(existing, (path if folder else path.parent, *within))
            return _of_machine(existing, within)
        if not path.is_absolute():
            raise NotFound(
                f'there is no machine "{machine}", and no file or folder of this name',
                hint="name a folder with its disks, or the machine as the hypervisor does",
            )
        if folder:
            leaf = await diskwork.do("looking for disks", partial(_leaf, path), progress=progress)
            return _Found(path.name, Source(leaf, within=(path, *within)), Settings())
        return _Found(path.stem, Source(path, within=within), Settings())

    async def _existing(self, machine: str) -> ExistingMachine | None:
        """What the hypervisor knows by this name. Where it can't be asked, it is said that nothing else has the name either."""
        try:
            return await self._context.driver.existing(machine)
        except IrekoError as error:
            if error.kind is Kind.UNAVAILABLE and not Path(machine).is_absolute():
                error.message = f'there is no file or folder "{machine}", and {error.message}'
            raise


def _of_machine(machine: ExistingMachine, within: tuple[Path, ...]) -> _Found:
    if machine.running:
        raise Conflict(f'the machine "{machine.name}" runs', hint="shut it down, then adopt it")
    if not machine.disks:
        raise InvalidInput(f'the machine "{machine.name}" has no disk')
    first, *others = machine.disks
    settings = Settings(None, machine.generation, machine.hardware, machine.cpus, machine.memory, first.sector_size)
    warnings = tuple(f'the disk "{each.path}" of "{machine.name}" is not part of the image' for each in others)
    return _Found(machine.name, Source(first.path, first.format, within), settings, warnings)


def _check_inside(machine: ExistingMachine, folders: Sequence[Path]) -> None:
    """A description may come from elsewhere: what it says is no reason to read any file of this host. Raises Denied."""
    for disk in machine.disks[:1]:
        if not Folders(folders).allow(disk.path):
            raise Denied(
                f'the machine "{machine.name}" has its disk outside of its folder: "{disk.path}"',
                hint=f"--parents {shlex.quote(str(disk.path.parent))} allows it, if you trust where the machine comes from",
            )


def _leaf(folder: Path, steps: Steps) -> Path:
    """The one disk in a folder that no other stands on; a foreign one where there is no other. What can't be read is none."""
    parents: set[Path] = set()
    disks: list[Path] = []
    allowed = Folders([folder])
    for path in disks_in([folder]):
        steps.advance(1)
        try:
            with open_layer(path) as layer:
                disks.append(path.resolve())
                if layer.info.parent is not None:
                    parents.update(_parent(candidates(path, layer.info.parent, allowed), allowed))
        except (DiskError, NotFound):  # one that has gone, or a link to nowhere
            continue
    leaves = [path for path in dict.fromkeys(disks) if path not in parents]
    return _only(leaves or [path.resolve() for path in foreign.disks_in(folder)], folder)


def _parent(places: Iterable[Path], allowed: Folders) -> list[Path]:
    found = (path for path in places if allowed.allow(path) and path.exists())
    return [path.resolve() for path in found][:1]


def _only(leaves: Sequence[Path], folder: Path) -> Path:
    if not leaves:
        raise NotFound(f'there is no virtual disk in "{folder}"', hint="name the disk itself")
    if len(leaves) > 1:
        names = ", ".join(f'"{path.relative_to(folder.resolve())}"' for path in leaves[:_NAMED])
        names += " and others" if len(leaves) > _NAMED else ""
        raise Ambiguous(f'"{folder}" has {len(leaves)} disks that no other stands on: {names}', hint="name one of them")
    return leaves[0]


def _named(machine: str) -> Reference | None:
    """The machine's name as an image's, where it can be one; none otherwise, rather than one that nobody knows again."""
    name = _NO_REPOSITORY.sub("-", machine.lower()).strip("-._")
    try:
        return Reference.parse(name) if name else None
    except InvalidInput:
        return None
