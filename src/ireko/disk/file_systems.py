"""Which file system a place of a disk begins with, by the marks that file systems leave there."""

from __future__ import annotations

import enum

from ireko.disk.partition_tables import has_mark, read_some
from ireko.disk.view import View

_HEAD = 8192
"""Bytes that hold all marks but btrfs's."""
_BTRFS = 0x10040
_BY_MARK = (
    (3, b"NTFS    ", "ntfs"),
    (3, b"ReFS\0\0\0\0", "refs"),
    (3, b"-FVE-FS-", "bitlocker"),
    (3, b"EXFAT   ", "exfat"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x438, b"\x53\xef", "ext"),
    (0x218, b"LVM2 001", "lvm"),
    (0x400, b"\x10\x20\xf5\xf2", "f2fs"),
    (4086, b"SWAPSPACE2", "swap"),
)
_FAT = ((0x36, b"FAT12   "), (0x36, b"FAT16   "), (0x52, b"FAT32   "))


class Owner(enum.Enum):
    """Whose file system it is, as far as that tells anything."""

    WINDOWS = "windows"
    LINUX = "linux"
    ANYBODY = ""


_OWNERS = {
    **dict.fromkeys(("ntfs", "refs", "bitlocker"), Owner.WINDOWS),
    **dict.fromkeys(("ext", "xfs", "btrfs", "f2fs", "luks", "lvm", "swap"), Owner.LINUX),
}


def file_system_at(view: View, start: int) -> str:
    """The name of the file system, or of what encrypts or gathers some, that begins at an offset; "" when none is known.

    "ext" stands for ext2 to ext4, "fat" for FAT of any width.
    """
    head = read_some(view, start, _HEAD)
    for place, mark, name in _BY_MARK:
        if head[place : place + len(mark)] == mark:
            return name
    if has_mark(head) and any(head[place : place + len(mark)] == mark for place, mark in _FAT):
        return "fat"
    return "btrfs" if read_some(view, start + _BTRFS, 8) == b"_BHRfS_M" else ""


def owner_of(file_system: str) -> Owner:
    """Whose file system one of that name is."""
    return _OWNERS.get(file_system, Owner.ANYBODY)
