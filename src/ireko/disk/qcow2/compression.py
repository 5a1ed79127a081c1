"""Compressed clusters of a qcow2 file."""

from __future__ import annotations

import zlib

from ireko.disk.errors import DiskDamaged
from ireko.disk.qcow2.opening import Structures
from ireko.disk.qcow2.structure import DEFLATE

_SECTOR = 512
_RAW_DEFLATE = -15
_WINDOW_MAXIMUM = 8 << 20
"""Bytes of memory that a zstd frame may ask for: four times the largest cluster."""


def place_of(entry: int, cluster_bits: int) -> tuple[int, int]:
    """Where the compressed cluster of an L2 entry lies, as (offset, bytes that may belong to it)."""
    size_bits = cluster_bits - 8
    offset_bits = 62 - size_bits
    offset = entry & (1 << offset_bits) - 1
    sectors = entry >> offset_bits & (1 << size_bits) - 1
    return offset, (sectors + 1) * _SECTOR - offset % _SECTOR


def read_cluster(structures: Structures, cluster: int, entry: int) -> bytes:
    """A compressed cluster's content. Raises DiskDamaged."""
    offset, length = place_of(entry, structures.header.cluster_bits)
    data = structures.file.read(offset, length)
    size = structures.cluster_size
    try:
        content = _inflate(data, size) if structures.compression == DEFLATE else _decompress(data, size)
    except ValueError as error:
        content, reason = b"", str(error)
    else:
        reason = f"compressed data of {len(content)} bytes"
    if len(content) != size:
        raise DiskDamaged(
            structures.file.path, f"the compressed cluster {cluster}", offset=offset, found=reason, wanted=f"of {size}"
        )
    return content


def _inflate(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj(_RAW_DEFLATE).decompress(data, size)
    except zlib.error as error:
        raise ValueError(f"no deflate stream ({error})") from error


def _decompress(data: bytes, size: int) -> bytes:
    import zstandard  # most disks need none of it, and it takes a while to load

    try:
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAXIMUM).stream_reader(data) as reader:
            content = b""
            while len(content) < size and (piece := reader.read(size - len(content))):
                content += piece
            return content
    except zstandard.ZstdError as error:
        raise ValueError(f"no zstd frame ({error})") from error
