"""Disk formats that only qemu-img reads (VMDK, VDI): converted for a moment, so that all else knows four formats alone."""

from __future__ import annotations

import contextlib
import shlex
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ireko.disk import unread
from ireko.disk.files import DiskFile
from ireko.disk.operations import rewriting
from ireko.engine.context import Context
from ireko.errors import InvalidInput, IrekoError, ProgramFailed, Unsupported
from ireko.host import process
from ireko.model.recipe import Progress

FORMATS = ("vmdk", "vdi")
_SPARSE_VMDK, _TEXT_VMDK = b"KDMV", b"# Disk DescriptorFile"
_VMDK_CAPACITY = struct.Struct("<12xQ")
_DESCRIPTOR = struct.Struct("<28xQQ")
_SECTOR = 512
_LARGEST_DESCRIPTOR = 1 << 20
_WHERE_QEMU_LOOKS = (1, 20)
"""The sectors where qemu-img reads a VMDK's description, wherever the header has it: the first one, and how many."""
_WHOLE, _PARENT = "parentCID=ffffffff", "parentFileNameHint"


@contextlib.asynccontextmanager
async def readable(context: Context, path: Path, format_name: str, *, progress: Progress) -> AsyncIterator[Path]:
    """The file itself, or for a foreign one a copy in a format of ours, which is gone afterwards.

    Raises Unsupported for what is known to be something else, and for files that name others, as those are a stranger's words;
    ProgramMissing, ProgramFailed, NoSpace.
    """
    found = format_name if format_name in FORMATS else "" if format_name else _recognise(path)
    if not found:
        yield path
        return
    if found == "vmdk":
        _refuse_other_files(path)
    progress(f"reading the {found} disk", None, None)
    async with context.work_folder() as folder:
        yield await _convert(path, found, folder / f"{path.stem}.qcow2")


def disks_in(folder: Path) -> Iterator[Path]:
    """The files in and below a folder that are disks in a foreign format. What can't be read is none."""
    for path in rewriting.disks_in([folder], [f".{each}" for each in FORMATS]):
        with contextlib.suppress(IrekoError):
            if _recognise(path):
                yield path


async def _convert(path: Path, found: str, target: Path) -> Path:
    try:
        await process.run("qemu-img", "convert", "-f", found, "-O", "qcow2", path.absolute(), target)
    except ProgramFailed as error:
        raise ProgramFailed(
            f'the {found} disk "{path}" can\'t be read: {error.message}',
            exit_code=error.exit_code,
            details=error.details,
        ) from error
    return target


def _recognise(path: Path) -> str:
    with DiskFile(path) as file:
        found = unread.recognise(file.read(0, unread.HEAD))
    if found and found.format not in FORMATS:
        raise Unsupported(f'"{path}" is {found.noun}, which is not read here', hint=found.remedy_for(path))
    return found.format if found else ""


def _refuse_other_files(path: Path) -> None:
    """A VMDK may be no more than a text that names other files, any of this machine's: only what holds all itself is read."""
    with DiskFile(path) as file:
        head = file.read(0, _SECTOR)
        if not head.startswith((_SPARSE_VMDK, _TEXT_VMDK)):
            raise InvalidInput(f'"{path}" is no VMDK: it begins with {head[:4]!r}', hint="leave --from out")
        if head.startswith(_SPARSE_VMDK) and len(head) == _SECTOR and _VMDK_CAPACITY.unpack_from(head)[0]:
            if not _names_a_parent(file, head):
                return
            raise Unsupported(
                f'the VMDK "{path}" stands on another one', hint="merge its snapshots where it was made, then try again"
            )
    raise Unsupported(
        f'the VMDK "{path}" keeps its content in other files',
        hint=f"qemu-img convert -O qcow2 {shlex.quote(str(path))} disk.qcow2, then import that",
    )


def _names_a_parent(file: DiskFile, head: bytes) -> bool:
    """Whether a VMDK with a header stands on another one: as its header's description has it, or as qemu-img would believe."""
    for place, length in (_DESCRIPTOR.unpack_from(head), _WHERE_QEMU_LOOKS):
        text = file.read(place * _SECTOR, min(length * _SECTOR, _LARGEST_DESCRIPTOR)).decode("utf-8", "replace")
        if _PARENT in text or text.count("parentCID") != text.count(_WHOLE):
            return True
    return False
