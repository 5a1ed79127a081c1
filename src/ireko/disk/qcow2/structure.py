"""The structures of a qcow2 file, by the specification's names.

https://www.qemu.org/docs/master/interop/qcow2.html; all numbers are big-endian.
"""

from __future__ import annotations

import os
import struct
from dataclasses import astuple, dataclass

MAGIC = 0x514649FB  # "QFI\xfb"
VERSION_2, VERSION_3 = 2, 3
CLUSTER_BITS_DEFAULT = 16
CLUSTER_BITS_MINIMUM, CLUSTER_BITS_MAXIMUM = 9, 21
BACKING_NAME_MAXIMUM = 1023
ENTRY_SIZE = 8
"""Bytes of an entry of the L1, L2 and refcount tables."""
OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
COPIED = 1 << 63
COMPRESSED = 1 << 62
"""In an L2 entry: the cluster is compressed."""
ZERO = 1 << 0
"""In a standard L2 entry: the cluster reads as zeros."""
L2_RESERVED_MASK = 0x3F00_0000_0000_01FE
TABLE_RESERVED_MASK = 0x7F00_0000_0000_01FF
"""In an L1 entry. Bits 0 to 8 are reserved in entries of the refcount table too."""
L1_MAXIMUM = 32 << 20
"""Bytes; the limit QEMU has."""
SUBCLUSTERS = 32
"""In a cluster, when L2 entries are extended ones: these have a bit each for "allocated", and a bit each for "zero"."""
SUBCLUSTER_CLUSTER_BITS_MINIMUM = 14
ALL_ALLOCATED, ALL_ZERO = 0xFFFF_FFFF, 0xFFFF_FFFF << 32
REFCOUNT_ORDER_MAXIMUM = 6
DEFLATE, ZSTD = 0, 1

INCOMPATIBLE_DIRTY, INCOMPATIBLE_CORRUPT = 1 << 0, 1 << 1
INCOMPATIBLE_DATA_FILE, INCOMPATIBLE_COMPRESSION, INCOMPATIBLE_EXTENDED_L2 = 1 << 2, 1 << 3, 1 << 4

EXTENSION_END = 0
EXTENSION_BACKING_FORMAT = 0xE2792ACA
EXTENSION_FEATURE_NAMES = 0x6803F857

_HEADER_2 = struct.Struct(">IIQIIQIIQQIIQ")
_HEADER_3 = struct.Struct(">QQQII")
HEADER_LENGTH_2, HEADER_LENGTH_3 = _HEADER_2.size, _HEADER_2.size + _HEADER_3.size
# features, refcount order and header length of a file of version 2
_VERSION_2_IMPLIES = (0, 0, 0, 4, HEADER_LENGTH_2)
_EXTENSION = struct.Struct(">II")
_OFFSET = struct.Struct(">Q")


@dataclass(frozen=True)
class Header:
    """The header, in the order of the file. The last five fields are version 3's own."""

    version: int
    backing_file_offset: int
    backing_file_size: int
    cluster_bits: int
    size: int
    crypt_method: int
    l1_size: int
    l1_table_offset: int
    refcount_table_offset: int
    refcount_table_clusters: int
    nb_snapshots: int
    snapshots_offset: int
    incompatible_features: int = 0
    compatible_features: int = 0
    autoclear_features: int = 0
    refcount_order: int = 4
    header_length: int = HEADER_LENGTH_3

    def pack(self) -> bytes:
        """The header's bytes, of version 3."""
        fields = astuple(self)
        return _HEADER_2.pack(MAGIC, *fields[:12]) + _HEADER_3.pack(*fields[12:])

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Read what a file begins with. Raises ValueError when that is no qcow2 header."""
        if len(data) < HEADER_LENGTH_2:
            raise ValueError(f"the file ends after {len(data)} bytes, within the header")
        magic, *fields = _HEADER_2.unpack_from(data)
        if magic != MAGIC:
            raise ValueError(f"the magic number is {magic:#010x}, qcow2's is {MAGIC:#010x}")
        if fields[0] == VERSION_2:
            return cls(*(*fields, *_VERSION_2_IMPLIES))
        if fields[0] != VERSION_3:
            raise ValueError(f"the version is {fields[0]}, only 2 and 3 are known")
        if len(data) < HEADER_LENGTH_3:
            raise ValueError(f"the file ends after {len(data)} bytes, within the header")
        return cls(*fields, *_HEADER_3.unpack_from(data, HEADER_LENGTH_2))


def pack_extension(kind: int, data: bytes) -> bytes:
    """A header extension, padded to a multiple of 8."""
    return _EXTENSION.pack(kind, len(data)) + data + bytes(-len(data) % 8)


def unpack_extensions(data: bytes, offset: int) -> dict[int, bytes]:
    """The header extensions that begin at an offset. Raises ValueError when one goes past the end."""
    found: dict[int, bytes] = {}
    while offset + _EXTENSION.size <= len(data):
        kind, length = _EXTENSION.unpack_from(data, offset)
        offset += _EXTENSION.size
        if kind == EXTENSION_END:
            break
        if offset + length > len(data):
            raise ValueError(f"the header extension {kind:#010x} at offset {offset} goes past the header")
        found[kind] = data[offset : offset + length]
        offset += length + -length % 8
    return found


def name_text(data: bytes) -> str:
    """The parent's name. On Windows names are Unicode: bytes that are none can't be one, but must be told of."""
    try:
        return os.fsdecode(data)
    except UnicodeDecodeError:
        return data.decode(errors="replace")


def pack_offset(offset: int) -> bytes:
    """An entry of a table."""
    return _OFFSET.pack(offset)
