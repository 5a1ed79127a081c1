"""The note beside a sealed layer: what its content is, whatever file it is in.

It is `<name>.seal`, a small JSON file. A layer's length and the time of its last write are in it too, so that in most cases
a change is seen without reading the layer; copies that don't keep times have to be sealed again.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from ireko.disk.base import Layer
from ireko.disk.errors import DiskDamaged
from ireko.disk.files import DiskFile, real_path
from ireko.disk.output import Output
from ireko.errors import NotFound

SUFFIX = ".seal"
_LENGTH_MAXIMUM = 1 << 16
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Seal:
    """What a layer adds (`diff_id`), what it shows with all below it (`chain_id`), and what its parent showed.

    `format` is the one that the file was read in: called a raw disk it holds something else. `parent_chain_id` is "" for a base.
    `length` is the file's in bytes, `modified` the time of its last write in nanoseconds.
    """

    diff_id: str
    chain_id: str
    parent_chain_id: str
    format: str
    length: int
    modified: int


def seal_path(path: Path) -> Path:
    """Where a layer's seal is: beside the file itself, whatever link led to it."""
    path = real_path(path)
    return path.with_name(path.name + SUFFIX)


def read_seal(path: Path) -> Seal | None:
    """The seal of the layer at `path`, None when it has none. Raises DiskDamaged."""
    place = seal_path(path)
    if not os.path.lexists(place):
        return None
    try:
        with DiskFile(place) as file:
            data = file.read(0, _LENGTH_MAXIMUM)
    except NotFound:
        return None  # it went away just now
    try:
        return _checked(json.loads(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise DiskDamaged(place, "the seal", found=str(error), wanted="as it was written") from error


def _checked(fields: dict[str, object]) -> Seal:
    seal = Seal(**fields)  # type: ignore[arg-type]
    for name in ("diff_id", "chain_id", "parent_chain_id"):
        value = getattr(seal, name)
        if not isinstance(value, str) or not (_DIGEST.fullmatch(value) or (name == "parent_chain_id" and not value)):
            raise ValueError(f"{name} is {value!r}")
    if not isinstance(seal.format, str):
        raise TypeError(f"format is {seal.format!r}")
    for number in (seal.length, seal.modified):
        if not isinstance(number, int):
            raise TypeError(f"a number is {number!r}")
    return seal


def write_seal(path: Path, seal: Seal) -> None:
    """Put a seal beside the layer at `path`, in place of one that is there."""
    output = Output(seal_path(path), replace=True)
    try:
        output.file.write(0, json.dumps(asdict(seal), indent=1).encode() + b"\n")
        output.publish()
    finally:
        output.discard()


def state_of(file: DiskFile) -> tuple[int, int]:
    """A file's length and the time of its last write."""
    status = os.fstat(file.descriptor)
    return status.st_size, status.st_mtime_ns


def intact_seal(layer: Layer) -> Seal | None:
    """The seal of an open layer, when it has one in its format. Raises DiskDamaged when the file was written to since."""
    path = layer.info.path
    seal = read_seal(path)
    if seal is None or seal.format != layer.info.format:
        return None
    length, modified = state_of(layer.file)
    if (length, modified) != (seal.length, seal.modified):
        found = f"{length} bytes long and written to at {modified}"
        wanted = f"{seal.length} bytes long and written to at {seal.modified}, as when it was sealed"
        hint = f"ireko disk seal {shlex.quote(str(path))} tells whether its content is still the same"
        raise DiskDamaged(path, "the file", found=found, wanted=wanted, hint=hint)
    return seal
