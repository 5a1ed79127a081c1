"""What is on a disk is seen by its tables and marks, and nothing that a guest writes there does harm."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.chain import open_chain
from ireko.disk.formats import open_layer
from ireko.disk.operations import flatten
from ireko.disk.partition_tables import BIOS_BOOT, EFI_SYSTEM, LINUX_ROOT
from ireko.disk.partitions import Contents, PartitionKind, look
from ireko.disk.view import View
from ireko.recipes.partitions import Partition, write_disk

from .model import MIB

SIZE = 64 * MIB
EFI, ROOT = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BASIC, RESERVED = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
FAT = b"\xeb\x58\x90mkfs.fat".ljust(0x52, b"\1") + b"FAT32   ".ljust(428, b"\1") + b"\x55\xaa"
NTFS = b"\xeb\x52\x90NTFS    ".ljust(510, b"\1") + b"\x55\xaa"
EXT = bytes(0x438) + b"\x53\xef" + bytes(100)


def seen(path: Path) -> Contents:
    """What is on a raw disk."""
    with open_layer(path, format_name="raw") as layer:
        return look(View([layer]))


@pytest.fixture
def sfdisk(tmp_path: Path) -> Path:
    """An empty disk; the program that partitions it must be there."""
    if not (shutil.which("sfdisk") or Path("/usr/sbin/sfdisk").exists()):
        pytest.skip("sfdisk is not installed")
    path = tmp_path / "disk.raw"
    grow(path)
    return path


def partition(path: Path, script: str, *options: str) -> None:
    program = shutil.which("sfdisk") or "/usr/sbin/sfdisk"
    subprocess.run([program, *options, str(path)], input=script.encode(), check=True, capture_output=True, timeout=120)


def grow(path: Path) -> None:
    """Make a disk as large as all of them, without taking room."""
    with path.open("ab") as file:
        file.truncate(SIZE)


def put(path: Path, *, boot_code: bytes = b"", **places: tuple[int, bytes]) -> None:
    """Write bytes at offsets, and code where a BIOS starts it."""
    with path.open("r+b") as file:
        for place, data in ((0, boot_code), *places.values()):
            file.seek(place)
            file.write(data)


def guid_table(sector: int, parts: list[tuple[str, int, int]]) -> bytes:
    """A disk with a table of partitions, given as (type, start, length); only the first of both copies."""
    entries = b"".join(
        UUID(kind).bytes_le + UUID(int=number + 1).bytes_le
        + struct.pack("<QQQ", start // sector, (start + length) // sector - 1, 0) + bytes(72)
        for number, (kind, start, length) in enumerate(parts)
    ).ljust(128 * 128, b"\0")  # fmt: skip
    places = struct.pack("<QQQQ", 1, SIZE // sector - 1, 34, SIZE // sector - 34) + bytes(16)
    rest = places + struct.pack("<QIII", 2, 128, 128, zlib.crc32(entries))
    header = [b"EFI PART" + struct.pack("<II", 0x10000, 92), bytes(4), bytes(4) + rest]
    header[1] = struct.pack("<I", zlib.crc32(b"".join(header)))
    record = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, SIZE // sector - 1).ljust(64, b"\0") + b"\x55\xaa"
    return record.ljust(sector, b"\0") + b"".join(header).ljust(sector, b"\0") + entries


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_linux_system_that_both_firmwares_start(tmp_path: Path, sector: int) -> None:
    path = tmp_path / "disk.raw"
    parts = [(str(BIOS_BOOT), MIB, MIB), (EFI, 2 * MIB, 8 * MIB), (ROOT, 10 * MIB, 20 * MIB)]
    path.write_bytes(guid_table(sector, parts))
    grow(path)
    assert not seen(path).uefi
    put(path, boot_code=b"\xeb\x63\x90", efi=(2 * MIB, FAT), root=(10 * MIB, EXT))
    found = seen(path)
    assert (found.scheme, found.sector_size, found.bios, found.uefi, found.system) == (
        "gpt",
        sector,
        True,
        True,
        "linux",
    )
    assert [(each.start, each.length, each.kind, each.file_system) for each in found.partitions] == [
        (MIB, MIB, PartitionKind.BIOS_BOOT, ""),
        (2 * MIB, 8 * MIB, PartitionKind.EFI_SYSTEM, "fat"),
        (10 * MIB, 20 * MIB, PartitionKind.LINUX, "ext"),
    ]


def test_a_windows_system_of_each_generation(sfdisk: Path) -> None:
    partition(
        sfdisk,
        f"label: gpt\nsize=8M, type={EFI}\nsize=16M, type={RESERVED}\nsize=20M, type={BASIC}\n",
    )
    put(sfdisk, efi=(MIB, FAT), system=(25 * MIB, NTFS))
    found = seen(sfdisk)
    assert (found.scheme, found.bios, found.uefi, found.system) == ("gpt", False, True, "windows")
    assert [each.kind.value for each in found.partitions] == ["EFI system", "Microsoft reserved", "basic data"]
    partition(sfdisk, "label: dos\nsize=10M, type=7\nsize=20M, type=7, bootable\n", "--wipe", "always")
    put(sfdisk, boot_code=b"\x33\xc0", boot=(MIB, NTFS), system=(11 * MIB, NTFS))
    found = seen(sfdisk)
    assert (found.scheme, found.bios, found.uefi, found.system) == ("mbr", True, False, "windows")
    assert [(each.file_system, each.active) for each in found.partitions] == [("ntfs", False), ("ntfs", True)]


def test_partitions_inside_an_extended_one(sfdisk: Path) -> None:
    script = "label: dos\nsize=4M, type=83\nsize=40M, type=5\nsize=4M, type=82\nsize=6M, type=83\nsize=5M, type=ef\n"
    partition(sfdisk, script)
    found = seen(sfdisk)
    kinds = [each.kind for each in found.partitions]
    assert kinds.count(PartitionKind.LINUX) == 3
    assert kinds.count(PartitionKind.EFI_SYSTEM) == 1
    assert sorted(each.length for each in found.partitions) == [4 * MIB, 4 * MIB, 5 * MIB, 6 * MIB]
    assert (found.bios, found.uefi, found.system) == (False, False, "linux")


def test_the_copy_of_the_table_stands_in_for_it(sfdisk: Path) -> None:
    partition(sfdisk, f"label: gpt\nsize=8M, type={EFI}\n")
    expected = seen(sfdisk)
    put(sfdisk, header=(512, bytes(92)))
    assert seen(sfdisk) == expected
    put(sfdisk, copy=(SIZE - 512, bytes(92)))
    assert seen(sfdisk).scheme == "none"


def test_what_our_recipes_write_is_read(tmp_path: Path) -> None:
    path, root = tmp_path / "disk.raw", tmp_path / "root"
    root.write_bytes(EXT)
    parts = [
        Partition("bios", BIOS_BOOT, MIB),
        Partition("efi", EFI_SYSTEM, 4 * MIB),
        Partition("root", LINUX_ROOT, 10 * MIB, root),
    ]
    write_disk(path, capacity=SIZE, partitions=parts, seed="x")
    found = seen(path)
    assert [each.kind.value for each in found.partitions] == ["BIOS boot", "EFI system", "Linux"]
    assert (found.scheme, found.bios, found.uefi, found.system) == ("gpt", False, False, "linux")


@pytest.mark.parametrize(
    ("content", "system", "file_system", "bios"),
    [
        (b"", "", "", False),
        (EXT, "linux", "ext", False),
        (FAT, "", "fat", False),
        (NTFS, "windows", "ntfs", False),
        (b"XFSB", "linux", "xfs", False),
        (b"LUKS\xba\xbe", "linux", "luks", False),
        (bytes(0x10040) + b"_BHRfS_M", "linux", "btrfs", False),
        (b"\xfa" * 510 + b"\x55\xaa", "", "", True),
        (b"\xfa" * 512, "", "", False),
    ],
)
def test_disks_without_partitions(tmp_path: Path, content: bytes, system: str, file_system: str, bios: bool) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(content.ljust(MIB, b"\0"))
    found = seen(path)
    assert (found.scheme, found.partitions, found.uefi) == ("none", (), False)
    assert (found.system, found.file_system, found.bios) == (system, file_system, bios)


def test_signs_of_two_systems_are_no_guess(sfdisk: Path) -> None:
    partition(sfdisk, f"label: gpt\nsize=16M, type={RESERVED}\nsize=20M, type={ROOT}\n")
    assert seen(sfdisk).system == ""


def test_disks_of_windows(corpus: Path) -> None:
    for suffix in ("vhd", "vhdx"):
        with open_chain(corpus / f"ntfs-differential.{suffix}") as chain:
            found = look(chain.view)
        assert (found.scheme, found.uefi, found.system) == ("mbr", False, "windows")
        assert [(each.kind, each.file_system) for each in found.partitions] == [(PartitionKind.BASIC_DATA, "ntfs")]


def test_the_format_of_the_disk_makes_no_difference(sfdisk: Path, tmp_path: Path) -> None:
    partition(sfdisk, f"label: gpt\nsize=8M, type={EFI}\nsize=20M, type={ROOT}\n")
    put(sfdisk, efi=(MIB, FAT), root=(9 * MIB, EXT))
    expected = seen(sfdisk)
    for suffix in ("vhdx", "qcow2", "vhd"):
        flatten(sfdisk, tmp_path / f"copy.{suffix}")
        with open_chain(tmp_path / f"copy.{suffix}") as chain:
            assert look(chain.view) == expected


def test_records_that_follow_each_other_in_a_circle_end(sfdisk: Path) -> None:
    partition(sfdisk, "label: dos\nsize=40M, type=5\nsize=4M, type=83\nsize=4M, type=83\n")
    record = bytearray(sfdisk.read_bytes()[MIB : MIB + 512])
    record[462:478] = struct.pack("<B3xB3xII", 0, 5, 1, 1)
    put(sfdisk, first=(MIB, record), second=(MIB + 512, record))
    assert len(seen(sfdisk).partitions) <= 2


TABLES: list[bytes] = []


def tables() -> list[bytes]:
    """The beginnings of partitioned disks, to be damaged."""
    if not TABLES:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "disk.raw"
            write_disk(path, capacity=4 * MIB, partitions=[Partition("a", LINUX_ROOT, MIB)], seed="x")
            TABLES.append(path.read_bytes())
        record = bytearray(MIB)
        record[446:462] = struct.pack("<B3xB3xII", 0x80, 5, 1, 2000)
        record[510:512] = record[1022:1024] = b"\x55\xaa"
        record[512 + 446 : 512 + 478] = struct.pack("<B3xB3xII", 0, 0x83, 1, 5) + struct.pack("<B3xB3xII", 0, 5, 9, 5)
        TABLES.append(bytes(record))
    return TABLES


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1), st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=8))
def test_damaged_tables_do_no_harm(which: int, changes: list[tuple[int, int]]) -> None:
    content = bytearray(tables()[which])
    for place, value in changes:
        content[place] = value
    with TemporaryDirectory() as folder:
        path = Path(folder) / "disk.raw"
        path.write_bytes(content)
        found = seen(path)
    assert found.scheme in {"gpt", "mbr", "none"}
    assert all(0 < each.start < len(content) for each in found.partitions)


@pytest.mark.parametrize("size", [512, 1024, 4096, 5120])
def test_disks_with_hardly_a_sector(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(size))
    assert (seen(path).scheme, seen(path).bios, seen(path).uefi) == ("none", False, False)
