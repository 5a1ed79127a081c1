"""Files with a disk in a form that is not read here: what they are, and what makes one of them that is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

HEAD = 0x44
"""The bytes at a file's beginning that tell what it is."""


@dataclass(frozen=True)
class Unread:
    """What a file is, in words; `format` is qemu-img's name for it, where there is need of one."""

    noun: str
    remedy: str
    format: str = ""

    def remedy_for(self, path: Path) -> str:
        """What to do with a file, as a command where there is one."""
        return self.remedy.format(shlex.quote(str(path)))


_CONVERT = "qemu-img convert -O qcow2 {} disk.qcow2 makes a disk that is"
_UNPACK = "unpack it, and take what was in it"
_VMDK, _VDI = Unread("a VMDK disk", _CONVERT, "vmdk"), Unread("a VDI disk", _CONVERT, "vdi")
_PARALLELS = Unread("a Parallels disk", _CONVERT)
_KNOWN = (
    (0, b"KDMV", _VMDK),
    (0, b"# Disk DescriptorFile", _VMDK),
    (0x40, b"\x7f\x10\xda\xbe", _VDI),
    (0, b"QED\0", Unread("a QED disk", _CONVERT)),
    (0, b"QFI\xfb\0\0\0\1", Unread("a disk in qcow's first version", _CONVERT)),
    (0, b"WithoutFreeSpace", _PARALLELS),
    (0, b"WithouFreSpacExt", _PARALLELS),
    (0, b"LUKS\xba\xbe", Unread("an encrypted disk", "decrypt it with qemu-img convert")),
    (0, b"\xfd7zXZ\0", Unread("compressed with xz", _UNPACK)),
    (0, b"\x1f\x8b", Unread("compressed with gzip", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", Unread("compressed with zstd", _UNPACK)),
    (0, b"BZh", Unread("compressed with bzip2", _UNPACK)),
    (0, b"PK\3\4", Unread("a zip archive", _UNPACK)),
    (0, b'{\n "diff_id"', Unread("the seal of a disk", "name the disk that it lies beside")),
)


def recognise(head: bytes) -> Unread | None:
    """What a file is that begins with `head`, its first `HEAD` bytes; None when that says nothing."""
    return next((found for offset, magic, found in _KNOWN if head[offset : offset + len(magic)] == magic), None)
