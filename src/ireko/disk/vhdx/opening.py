"""What is read of a VHDX file when it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from ireko.disk.files import DiskFile
from ireko.disk.vhdx.bat import Bat
from ireko.disk.vhdx.headers import check_signature, current_header, find_regions
from ireko.disk.vhdx.log import ReplayedFile, replay
from ireko.disk.vhdx.metadata import Metadata, read_metadata
from ireko.disk.vhdx.structures import BAT_REGION, METADATA_REGION, Header, Region


@dataclass(frozen=True)
class Structures:
    """The file's structures; of the BAT nothing has been read yet."""

    file: DiskFile
    header: Header
    replayed: ReplayedFile
    regions: tuple[Region, ...]
    metadata: Metadata
    bat: Bat


def read_structures(file: DiskFile) -> Structures:
    """Read them, in the order in which each says where the next is. Raises DiskDamaged, DiskUnsupported."""
    check_signature(file)
    header = current_header(file)
    replayed = replay(file, header)
    regions = find_regions(replayed)
    metadata = read_metadata(replayed, regions[METADATA_REGION])
    bat = Bat(replayed, regions[BAT_REGION], metadata)
    return Structures(file, header, replayed, tuple(regions.values()), metadata, bat)
