"""Machines that leave, for the fake driver: a folder whose `machine.json` says what runs its disk."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import msgspec

from ireko.drivers.base import ExistingDisk, ExistingMachine, StandaloneSpec
from ireko.errors import AlreadyThere, Damaged, Denied, NoSpace

DESCRIPTION = "machine.json"


def write(spec: StandaloneSpec, folder: Path) -> tuple[Path, ...]:
    """Write the description. Raises AlreadyThere, NoSpace, Denied."""
    path = folder / DESCRIPTION
    try:
        with path.open("xb") as file:
            # a folder may be moved: what is in it is named by its name alone
            file.write(msgspec.json.encode(replace(spec, place=None)))
    except FileExistsError as error:
        raise AlreadyThere(f'"{path}" is already there') from error
    except OSError as error:
        path.unlink(missing_ok=True)
        kind = NoSpace if error.errno == errno.ENOSPC else Denied
        raise kind(f'"{path}" can\'t be written: {error.strerror or error}') from error
    return (path,)


def read(path: Path) -> ExistingMachine | None:
    """The machine of a folder, or of its description; None where neither is. Raises Damaged."""
    description = path / DESCRIPTION if path.is_dir() else path
    if description.name != DESCRIPTION or not description.is_file():
        return None
    try:
        spec = msgspec.json.decode(description.read_bytes(), type=StandaloneSpec)
    except (OSError, msgspec.MsgspecError) as error:
        raise Damaged(f'"{description}" does not describe a machine: {error}') from error
    return ExistingMachine(
        name=spec.name,
        disks=(ExistingDisk(description.parent / spec.disk, spec.format, spec.sector_size),),
        cpus=spec.cpus,
        memory=spec.memory,
        generation=spec.generation,
        hardware=spec.hardware,
        running=False,
    )
