"""The disk formats by name, and opening a file whatever its format is.

A format's module has a `FORMAT`; it is imported when it is first needed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ireko.disk import unread
from ireko.disk.base import Layer, LayerInfo, LayerWriter, NewLayer
from ireko.disk.errors import DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.output import Output
from ireko.errors import InvalidInput


@dataclass(frozen=True)
class Format:
    """A disk format.

    `recognise` looks for its signature. `open` takes a file over and closes it with the layer. `create` takes an output over, and
    raises InvalidInput for what the format can't hold; it closes neither when it raises.
    """

    name: str
    suffixes: tuple[str, ...]
    recognise: Callable[[DiskFile], bool]
    open: Callable[[DiskFile], Layer]
    create: Callable[[Output, NewLayer], LayerWriter]


# in the order in which they are tried: fixed VHDs have their signature at the end alone
_MODULES = {"vhdx": "ireko.disk.vhdx", "qcow2": "ireko.disk.qcow2", "vhd": "ireko.disk.vhd", "raw": "ireko.disk.raw"}
RAW = "raw"
SECTORED = frozenset({"vhdx", "vhd"})
"""Those that say how large a guest's sectors are, and whose children have the size and the sectors of their parents.

The content of others is a disk with sectors of any size.
"""


def format_named(name: str) -> Format:
    """A format by its name. Raises InvalidInput."""
    if name not in _MODULES:
        raise InvalidInput(f'"{name}" is no disk format; there are {", ".join(_MODULES)}')
    found = importlib.import_module(_MODULES[name]).FORMAT
    assert isinstance(found, Format)
    return found


def format_for(path: Path) -> Format:
    """The format that a file's suffix stands for. Raises InvalidInput."""
    suffix = path.suffix.lower()
    for name in _by_suffix(suffix):
        if suffix in (found := format_named(name)).suffixes:
            return found
    raise InvalidInput(f'the suffix of "{path.name}" stands for no disk format; there are {", ".join(_MODULES)}')


def open_layer(path: Path, *, format_name: str = "") -> Layer:
    """Open a disk file for reading.

    Without a format it is found by the file's content. A raw disk is never guessed, as its content is the guest's, and could be
    made to look like anything: it is one only when it is called so, by `format_name` or by the suffix ".raw".
    """
    file = DiskFile(path)
    try:
        found = format_named(format_name) if format_name else _recognise(file)
        return found.open(file)
    except BaseException:
        file.close()
        raise


def described(path: Path, format_name: str = "") -> LayerInfo:
    """What a disk file says of itself; raises what `open_layer` does."""
    with open_layer(path, format_name=format_name) as layer:
        return layer.info


def create_layer(
    path: Path, new: NewLayer, *, format_name: str = "", replace: bool = False, like: os.stat_result | None = None
) -> LayerWriter:
    """Begin a new disk file; without a format its suffix decides. `like` is as in `Output`. Raises InvalidInput, AlreadyThere."""
    found = format_named(format_name) if format_name else format_for(path)
    output = Output(path, replace=replace, like=like)
    try:
        return found.create(output, new)
    except InvalidInput as error:
        output.discard()
        raise InvalidInput(f'the disk "{path}" can\'t be made: {error.message}', hint=error.hint) from error
    except BaseException:
        output.discard()
        raise


def _by_suffix(suffix: str) -> list[str]:
    """The names of all formats, the one that the suffix is made of first."""
    return sorted(_MODULES, key=lambda name: not suffix.endswith(name))


def _recognise(file: DiskFile) -> Format:
    """The format whose signature the file has. The one that its suffix stands for comes first.

    A fixed VHD begins with the guest's own bytes, which could be another format's signature.
    """
    suffix = file.path.suffix.lower()
    if suffix == ".raw":
        return format_named(RAW)
    for name in _by_suffix(suffix):
        if name != RAW and (found := format_named(name)).recognise(file):
            return found
    raise _unknown(file)


def _unknown(file: DiskFile) -> DiskUnsupported:
    head = file.read(0, unread.HEAD)
    wanted = "VHDX, qcow2 or VHD"
    if found := unread.recognise(head):
        return DiskUnsupported(file.path, "the file", found=found.noun, wanted=wanted, hint=found.remedy_for(file.path))
    if not head:
        return DiskUnsupported(file.path, "the file", found="empty", wanted=wanted)
    hint = "say --from raw when it is a raw disk"
    return DiskUnsupported(file.path, "the signature", offset=0, found=head[:8], wanted=f"that of {wanted}", hint=hint)
