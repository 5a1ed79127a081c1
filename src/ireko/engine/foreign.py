"""Disk formats that only qemu-img reads (VMDK, VDI): converted for a moment, so that all else knows four formats alone."""

from __future__ import annotations

import contextlib
import shlex
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from ireko.disk.files import DiskFile
from ireko.engine.context import Context
from ireko.errors import InvalidInput, ProgramFailed, Unsupported
from ireko.host import process
from ireko.model.recipe import Progress

FORMATS = ("vmdk", "vdi")
_SPARSE_VMDK, _TEXT_VMDK = b"KDMV", b"# Disk DescriptorFile"
_VDI, _VDI_OFFSET = struct.pack("<I", 0xBEDA107F), 0x40
_VMDK_CAPACITY = struct.Struct("<12xQ")
_DESCRIPTOR = struct.Struct("<28xQQ")
_SECTOR = 512
_LARGEST_DESCRIPTOR = 1 << 20
_WHERE_QEMU_LOOKS = (1, 20)
"""The sectors where qemu-img reads a VMDK's description, wherever the header has it: the first one, and how many."""
_WHOLE, _PARENT = "parentCID=ffffffff", "parentFileNameHint"
_CONVERT, _UNPACK = "qemu-img convert -O qcow2 {} disk.qcow2, then import that", "unpack it, then import what was in it"
_OTHERS = (
    (b"QED\0", "a QED disk", _CONVERT),
    (b"QFI\xfb\0\0\0\1", "a disk in qcow's first version", _CONVERT),
    (b"WithoutFreeSpace", "a Parallels disk", _CONVERT),
    (b"WithouFreSpacExt", "a Parallels disk", _CONVERT),
    (b"LUKS\xba\xbe", "an encrypted disk", "decrypt it with qemu-img convert, then import that"),
    (b"\xfd7zXZ\0", "compressed with xz", _UNPACK),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"PK\3\4", "a zip archive", _UNPACK),
)
"""What a file begins with that is no disk of ours, what it is, and what to do."""


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
        head = file.read(0, _VDI_OFFSET + len(_VDI))
    if head.startswith((_SPARSE_VMDK, _TEXT_VMDK)):
        return "vmdk"
    if head[_VDI_OFFSET:] == _VDI:
        return "vdi"
    for magic, noun, remedy in _OTHERS:
        if head.startswith(magic):
            raise Unsupported(f'"{path}" is {noun}, which is not read here', hint=remedy.format(shlex.quote(str(path))))
    return ""


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
        hint=_CONVERT.format(shlex.quote(str(path))),
    )


def _names_a_parent(file: DiskFile, head: bytes) -> bool:
    """Whether a VMDK with a header stands on another one: as its header's description has it, or as qemu-img would believe."""
    for place, length in (_DESCRIPTOR.unpack_from(head), _WHERE_QEMU_LOOKS):
        text = file.read(place * _SECTOR, min(length * _SECTOR, _LARGEST_DESCRIPTOR)).decode("utf-8", "replace")
        if _PARENT in text or text.count("parentCID") != text.count(_WHOLE):
            return True
    return False
