"""Reading the header section of a VHDX file (MS-VHDX 2.2): which header counts, and where the regions are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from ireko.disk.errors import DiskDamaged, DiskError, DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.vhdx.log import ReplayedFile
from ireko.disk.vhdx.structures import (
    ALIGNMENT,
    BAT_REGION,
    HEADER_LENGTH,
    HEADER_OFFSETS,
    HEADER_SECTION_LENGTH,
    METADATA_REGION,
    REGION_TABLE_LENGTH,
    REGION_TABLE_OFFSETS,
    REGIONS_MAXIMUM,
    SIGNATURE,
    VERSION,
    Header,
    Region,
    RegionTable,
    checksum_is_right,
)

KNOWN_REGIONS = {BAT_REGION: "the BAT region", METADATA_REGION: "the metadata region"}


def check_signature(file: DiskFile) -> None:
    """Raises DiskUnsupported when the file is no VHDX file."""
    if (found := file.read(0, len(SIGNATURE))) != SIGNATURE:
        raise DiskUnsupported(file.path, "the file identifier", offset=0, found=found, wanted=SIGNATURE)


def read_header(file: DiskFile, number: int) -> Header:
    """One of the two headers. Raises DiskDamaged when it is not valid."""
    offset = HEADER_OFFSETS[number]
    name = f"header {number + 1}"
    data = file.read_exactly(offset, HEADER_LENGTH, name)
    if not data.startswith(Header.SIGNATURE):
        found = f"without a signature ({data[:4]!r})"
        raise DiskDamaged(file.path, name, offset=offset, found=found, wanted=f"signed {Header.SIGNATURE!r}")
    if not checksum_is_right(data):
        raise DiskDamaged(file.path, name, offset=offset, found="at odds with its checksum", wanted="as it was written")
    return Header.unpack(data)


def _claim(file: DiskFile, number: int) -> int:
    """The sequence number that a header says it has, valid or not."""
    return Header.claimed_sequence_number(file.read(HEADER_OFFSETS[number], Header.CLAIM_LENGTH))


def current_header(file: DiskFile) -> Header:
    """The header that counts: valid, and with the greater sequence number. Raises DiskDamaged, DiskUnsupported."""
    valid: list[Header] = []
    wrong: dict[int, DiskError] = {}
    for number in sorted(range(len(HEADER_OFFSETS)), key=lambda each: _claim(file, each), reverse=True):
        if valid and _claim(file, number) < valid[0].sequence_number:
            break  # whether it is valid makes no difference
        try:
            valid.append(read_header(file, number))
        except DiskDamaged as error:
            wrong[number] = error
    if not valid:
        raise wrong[0]
    current = valid[0]
    if len(valid) > 1 and valid[0] != valid[1]:
        found = f"two, different, with the sequence number {current.sequence_number}"
        raise DiskDamaged(file.path, "the current header", found=found, wanted="the one with the greater number")
    if current.version != VERSION:
        raise DiskUnsupported(file.path, "the version in the header", found=current.version, wanted=VERSION)
    return current


def read_region_table(file: ReplayedFile, number: int) -> list[Region]:
    """One of the two region tables. Raises DiskDamaged when it is not valid."""
    offset = REGION_TABLE_OFFSETS[number]
    name = f"region table {number + 1}"
    data = file.read_exactly(offset, REGION_TABLE_LENGTH, name)
    if not data.startswith(RegionTable.SIGNATURE):
        found = f"without a signature ({data[:4]!r})"
        raise DiskDamaged(file.path, name, offset=offset, found=found, wanted=f"signed {RegionTable.SIGNATURE!r}")
    if not checksum_is_right(data):
        raise DiskDamaged(file.path, name, offset=offset, found="at odds with its checksum", wanted="as it was written")
    if (count := RegionTable.count(data)) > REGIONS_MAXIMUM:
        raise DiskDamaged(
            file.path, f"the number of entries of {name}", offset=offset, found=count, wanted="2047 or less"
        )
    return RegionTable.unpack(data)


def find_regions(file: ReplayedFile) -> dict[UUID, Region]:
    """The regions by their GUIDs, from the first table that is valid. Raises DiskDamaged, DiskUnsupported."""
    try:
        regions = read_region_table(file, 0)
    except DiskDamaged as first:
        try:
            regions = read_region_table(file, 1)
        except DiskDamaged:
            raise first from None
    found: dict[UUID, Region] = {}
    for each in regions:
        _check_region(file, each, found)
        found[each.guid] = each
    for guid, name in KNOWN_REGIONS.items():
        if guid not in found:
            raise DiskDamaged(file.path, name, found="not in the region table", wanted="there")
    return found


def _check_region(file: ReplayedFile, region: Region, others: dict[UUID, Region]) -> None:
    name = KNOWN_REGIONS.get(region.guid, f"the region {region.guid}")
    if region.guid in others:
        raise DiskDamaged(file.path, name, offset=region.file_offset, found="listed twice", wanted="listed once")
    if region.guid not in KNOWN_REGIONS:
        if region.required:
            raise DiskUnsupported(
                file.path, name, offset=region.file_offset, found="required", wanted="one that is known here"
            )
        return
    if region.file_offset % ALIGNMENT or region.file_offset < HEADER_SECTION_LENGTH or region.length % ALIGNMENT:
        found = f"{region.length} bytes at {region.file_offset}"
        raise DiskDamaged(file.path, name, found=found, wanted="whole MiB behind the header section")
    if region.end > file.length:
        found = f"{region.length} bytes at {region.file_offset}"
        raise DiskDamaged(file.path, name, found=found, wanted=f"inside the file of {file.length} bytes")


def overlapping(spans: list[tuple[int, int, str]]) -> Iterator[tuple[str, str, int]]:
    """The names of those of some (start, end, name) that overlap, and where."""
    ordered = sorted(spans)
    for before, after in pairwise(ordered):
        if after[0] < before[1]:
            yield before[2], after[2], after[0]
