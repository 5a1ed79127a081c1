from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from ireko.disk.partition_tables import BIOS_BOOT, EFI_SYSTEM, LINUX_ROOT
from ireko.errors import InvalidInput
from ireko.recipes.partitions import Partition, room, starts, write_disk

MIB = 1 << 20
CAPACITY = 64 * MIB


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """16 MiB with data here and there, at odd places."""
    path, chance = tmp_path / "content", random.Random(7)
    with path.open("wb") as file:
        for _ in range(20):
            file.seek(chance.randrange(15 * MIB))
            file.write(chance.randbytes(chance.randrange(1, 50_000)))
        file.truncate(16 * MIB)
    return path


def table(content: Path) -> list[Partition]:
    return [
        Partition("bios", BIOS_BOOT, MIB),
        Partition("esp", EFI_SYSTEM, 8 * MIB),
        Partition("root", LINUX_ROOT, 20 * MIB, content),
    ]


def test_partitions_stand_one_after_the_other(content: Path) -> None:
    assert starts(table(content)) == [1 * MIB, 2 * MIB, 10 * MIB]
    assert room(CAPACITY, table(content)) == (64 - 2 - 29) * MIB


def test_content_is_copied_and_holes_stay_holes(tmp_path: Path, content: Path) -> None:
    disk = tmp_path / "disk"
    write_disk(disk, capacity=CAPACITY, partitions=table(content), seed="one")
    assert disk.stat().st_size == CAPACITY
    data = disk.read_bytes()
    assert data[10 * MIB : 26 * MIB] == content.read_bytes()
    assert not any(data[26 * MIB : CAPACITY - MIB])
    assert disk.stat().st_blocks <= content.stat().st_blocks + (200 << 10) // 512


def test_the_same_seed_gives_the_same_disk(tmp_path: Path, content: Path) -> None:
    for name, seed in ("a", "one"), ("b", "one"), ("c", "two"):
        write_disk(tmp_path / name, capacity=CAPACITY, partitions=table(content), seed=seed)
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second
    assert first != third


@pytest.mark.skipif(shutil.which("sfdisk", path="/usr/sbin:/sbin") is None, reason="sfdisk is not installed")
def test_another_program_reads_the_table(tmp_path: Path, content: Path) -> None:
    disk = tmp_path / "disk"
    write_disk(disk, capacity=CAPACITY, partitions=table(content), seed="one")
    environment = {**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}
    checked = subprocess.run(["sfdisk", "--verify", disk], env=environment, capture_output=True, text=True, check=True)
    assert "No errors detected" in checked.stdout
    assert not checked.stderr
    shown = subprocess.run(
        ["sfdisk", "--dump", disk], env=environment, capture_output=True, text=True, check=True
    ).stdout
    lines = [line.partition(" : ")[2] for line in shown.splitlines() if " : " in line]
    assert [line.split(", uuid=")[0] for line in lines] == [
        f"start=        2048, size=        2048, type={str(BIOS_BOOT).upper()}",
        f"start=        4096, size=       16384, type={str(EFI_SYSTEM).upper()}",
        f"start=       20480, size=       40960, type={str(LINUX_ROOT).upper()}",
    ]
    assert [line.split("name=")[1] for line in lines] == ['"bios"', '"esp"', '"root"']


def test_what_does_not_fit_is_refused(tmp_path: Path, content: Path) -> None:
    with pytest.raises(InvalidInput, match="too small for its partitions"):
        write_disk(tmp_path / "disk", capacity=20 * MIB, partitions=table(content), seed="one")
    small = [Partition("root", LINUX_ROOT, 8 * MIB, content)]
    with pytest.raises(InvalidInput, match='larger than the partition "root"'):
        write_disk(tmp_path / "disk2", capacity=CAPACITY, partitions=small, seed="one")
