"""What is on a disk: its partitions, what could boot it, and whose system it seems to be. Little is read, and nothing written."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from uuid import UUID

from ireko.disk.file_systems import Owner, file_system_at, owner_of
from ireko.disk.partition_tables import (
    BIOS_BOOT,
    BOOT_CODE,
    EFI_SYSTEM,
    LINUX_ROOT,
    MBR_EFI_SYSTEM,
    RECORD,
    Entry,
    Table,
    has_mark,
    read_some,
    read_table,
)
from ireko.disk.view import View


class PartitionKind(enum.Enum):
    """What a partition is for, by its type."""

    EFI_SYSTEM = "EFI system"
    BIOS_BOOT = "BIOS boot"
    MICROSOFT_RESERVED = "Microsoft reserved"
    WINDOWS = "Windows"
    """Such as the recovery partition: nobody but Windows makes them."""
    BASIC_DATA = "basic data"
    """Windows' file systems, and those of others that had no type of their own."""
    LINUX = "Linux"
    OTHER = "other"


_KINDS: dict[UUID | int, PartitionKind] = {
    EFI_SYSTEM: PartitionKind.EFI_SYSTEM,
    MBR_EFI_SYSTEM: PartitionKind.EFI_SYSTEM,
    BIOS_BOOT: PartitionKind.BIOS_BOOT,
    UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae"): PartitionKind.MICROSOFT_RESERVED,
    UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"): PartitionKind.BASIC_DATA,
    0x07: PartitionKind.BASIC_DATA,
    LINUX_ROOT: PartitionKind.LINUX,
    **dict.fromkeys((0x82, 0x83, 0x8E, 0xFD), PartitionKind.LINUX),
    **dict.fromkeys(
        (
            UUID("de94bba4-06d1-4d40-a16a-bfd50179d6ac"),  # recovery
            UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"),  # dynamic disks' records
            UUID("af9b60a0-1431-4f62-bc68-3311714a69ad"),  # and their data
            UUID("e75caf8f-f680-4cee-afa3-b001e56efc2d"),  # storage spaces
            0x27,
            0x42,
        ),
        PartitionKind.WINDOWS,
    ),
    **dict.fromkeys(
        (
            UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),  # any file system
            UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),  # swap
            UUID("e6d6d379-f507-44c2-a23c-238f2a3df928"),  # logical volumes
            UUID("a19d880f-05fc-4d3b-a006-743f0f84911e"),  # RAID
            UUID("ca7d7ccb-63ed-4c53-861c-1742536059cc"),  # encrypted
            UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"),  # the boot loader's files
            UUID("44479540-f297-41b2-9af7-d131d5f0458a"),  # root, x86
            UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),  # root, ARM
            UUID("8484680c-9521-48c6-9c11-b0720656f69e"),  # /usr
            UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"),  # /home
            UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),  # /var
        ),
        PartitionKind.LINUX,
    ),
}
_SYSTEMS = {
    PartitionKind.MICROSOFT_RESERVED: Owner.WINDOWS,
    PartitionKind.WINDOWS: Owner.WINDOWS,
    PartitionKind.LINUX: Owner.LINUX,
}
_FINDS_ITS_OWN = (b"GRUB", b"LILO")
"""What boot code holds that needs no partition to be marked."""

_STUBS = {"fat", "ntfs", "exfat"}
"""File systems that begin with code whoever makes them, to tell that there is nothing to start."""


@dataclass(frozen=True)
class Partition:
    """A partition, in bytes; `file_system` is as `file_system_at` has it. `active`: it is the one that a BIOS is to start."""

    start: int
    length: int
    kind: PartitionKind
    file_system: str
    active: bool


@dataclass(frozen=True)
class Contents:
    """What is on a disk.

    `scheme` is that of the partition table: "gpt", "mbr" or "none"; `sector_size` the one that its numbers are counted in.
    `bios` and `uefi` tell which firmware finds something to start; whether that works is not known. `system` is a guess from
    partition types and file systems: "windows", "linux", or "" when there are signs of neither or of both. `file_system` is the
    one of a disk without partitions.
    """

    scheme: str
    sector_size: int
    partitions: tuple[Partition, ...]
    bios: bool
    uefi: bool
    system: str
    file_system: str = ""


def look(view: View, *, sector_size: int = 0) -> Contents:
    """What is on a disk that shows this, in sectors of so many bytes; 0: of those that its newest layer's file tells.

    Raises what reading raises; whatever a guest wrote there is no error.
    """
    own = sector_size or (view.layers[0].info.sector_size if view.layers else RECORD)
    table = read_table(view, own)
    partitions = tuple(_partition(view, entry) for entry in table.entries)
    whole = file_system_at(view, 0) if table.scheme == "none" else ""
    return Contents(
        scheme=table.scheme,
        sector_size=table.sector_size,
        partitions=partitions,
        bios=own == RECORD and _bios(view, table, partitions, whole),  # no BIOS reads other sectors
        uefi=any(each.kind is PartitionKind.EFI_SYSTEM and each.file_system == "fat" for each in partitions),
        system=_system(partitions, whole),
        file_system=whole,
    )


def _partition(view: View, entry: Entry) -> Partition:
    kind = _KINDS.get(entry.type, PartitionKind.OTHER)
    return Partition(entry.start, entry.length, kind, file_system_at(view, entry.start), entry.active)


def _bios(view: View, table: Table, partitions: tuple[Partition, ...], whole: str) -> bool:
    """Whether there is boot code, and something that it can start.

    Partitioning programs put code on disks that nothing is installed on.
    """
    record = read_some(view, 0, RECORD)
    code = record[:BOOT_CODE]
    if not has_mark(record) or not any(code):
        return False
    if table.scheme == "none":
        return whole not in _STUBS
    if any(mark in code for mark in _FINDS_ITS_OWN):
        return True
    return any(each.active or each.kind is PartitionKind.BIOS_BOOT for each in partitions)


def _system(partitions: tuple[Partition, ...], whole: str) -> str:
    owners = {owner_of(each.file_system) for each in partitions} | {owner_of(whole)}
    owners |= {_SYSTEMS.get(each.kind, Owner.ANYBODY) for each in partitions}
    found = owners - {Owner.ANYBODY}
    return found.pop().value if len(found) == 1 else ""
