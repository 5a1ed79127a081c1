"""How large the sectors of a disk are that comes from elsewhere: some formats tell, and so do some partition tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ireko.disk import partitions
from ireko.disk.chain import Chain
from ireko.disk.formats import SECTORED
from ireko.errors import InvalidInput
from ireko.model.image import NATIVE_SECTOR, SECTOR


@dataclass(frozen=True)
class Disk:
    """What a guest sees that is shown a disk with sectors of so many bytes."""

    sector_size: int
    contents: partitions.Contents


def check(asked: int) -> None:
    """Raises InvalidInput for what no disk has; 0 is whatever it has."""
    if asked not in {0, SECTOR, NATIVE_SECTOR}:
        raise InvalidInput(f"the sector size is {asked}: a disk has sectors of {SECTOR} or {NATIVE_SECTOR} bytes")


def look(chain: Chain, *, asked: int, like: int) -> Disk:
    """What a disk is: in the sectors that its file tells, else in those asked for, else in those of a disk that it is like.

    Where nobody says (0), they are those that its GUID partition table counts in. Raises InvalidInput for what contradicts the
    file, or does not divide it; and what reading raises. Blocks.
    """
    leaf, told = chain.leaf.info, _told(chain)
    if told and asked not in {0, told}:
        raise InvalidInput(
            f'the disk "{leaf.path}" says that its sectors have {told} bytes: they can\'t have {asked}',
            hint=f"ireko image import {shlex.quote(str(leaf.path))} takes it as it is",
        )
    size = told or asked or like
    contents = partitions.look(chain.view, sector_size=size)
    if not size and contents.scheme == "gpt" and contents.sector_size != SECTOR:
        size = contents.sector_size
        contents = partitions.look(chain.view, sector_size=size)
    _check_whole(chain, size or SECTOR)
    return Disk(size or SECTOR, contents)


def warnings(disk: Disk) -> Iterator[str]:
    """What its user should know."""
    counted = disk.contents.sector_size
    if disk.contents.scheme == "gpt" and counted != disk.sector_size:
        yield (
            f"the partition table counts sectors of {counted} bytes: "
            f"a guest that sees some of {disk.sector_size} finds no partitions"
        )


def _told(chain: Chain) -> int:
    """What the newest file says that can; 0 when none does."""
    return next((each.info.sector_size for each in chain.layers if each.info.format in SECTORED), 0)


def _check_whole(chain: Chain, sector_size: int) -> None:
    for each in chain.layers:
        if each.info.size % sector_size:
            raise InvalidInput(
                f'the disk "{each.info.path}" has {each.info.size} bytes, which are no whole sectors of {sector_size}',
                hint=f"--sector-size {SECTOR}, or ireko disk resize",
            )
