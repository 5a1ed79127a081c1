"""What a new qcow2 file is made of besides its content.

cluster 0    header, extensions, name of the parent
cluster 1…   L1 table
then         content, and each L2 table behind what it stands for
last         refcount table and blocks
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind
from ireko.disk.qcow2.structure import (
    BACKING_NAME_MAXIMUM,
    CLUSTER_BITS_DEFAULT,
    CLUSTER_BITS_MAXIMUM,
    CLUSTER_BITS_MINIMUM,
    ENTRY_SIZE,
    EXTENSION_BACKING_FORMAT,
    EXTENSION_END,
    HEADER_LENGTH_3,
    INCOMPATIBLE_EXTENDED_L2,
    L1_MAXIMUM,
    SUBCLUSTER_CLUSTER_BITS_MINIMUM,
    SUBCLUSTERS,
    VERSION_3,
    Header,
    pack_extension,
)
from ireko.errors import InvalidInput

_SECTOR = 512
_REFCOUNT_BYTES = 2
_FORMAT_NAMES = {"vhd": "vpc"}


@dataclass(frozen=True)
class Plan:
    """Sizes and places of a new file."""

    new: NewLayer
    cluster_bits: int
    extended: bool
    """Whether clusters have subclusters: the smallest that there are, so that each sector is here or absent by itself."""

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    @property
    def unit(self) -> int:
        """The bytes that are here or absent together."""
        return self.cluster_size // SUBCLUSTERS if self.extended else self.cluster_size

    @property
    def l2_entries(self) -> int:
        """Clusters that an L2 table stands for."""
        return self.cluster_size // (ENTRY_SIZE * (2 if self.extended else 1))

    @property
    def l1_size(self) -> int:
        """Entries of the L1 table."""
        return -(-self.new.size // (self.cluster_size * self.l2_entries))

    @property
    def l1_offset(self) -> int:
        """Where it begins."""
        return self.cluster_size

    @property
    def content_offset(self) -> int:
        """Where content may begin."""
        size = self.cluster_size
        return self.l1_offset + -(-self.l1_size * ENTRY_SIZE // size) * size

    @property
    def header_length(self) -> int:
        """The bytes of the header, with the parent's name."""
        return len(self.header(Refcounts(0, self.cluster_size)))

    def header(self, refcounts: Refcounts) -> bytes:
        """What the file begins with."""
        name, recorded = _backing(self.new.parent)
        extensions = pack_extension(EXTENSION_END, b"")
        if recorded:
            extensions = pack_extension(EXTENSION_BACKING_FORMAT, recorded.encode()) + extensions
        header = Header(
            version=VERSION_3,
            backing_file_offset=HEADER_LENGTH_3 + len(extensions) if name else 0,
            backing_file_size=len(name),
            cluster_bits=self.cluster_bits,
            size=self.new.size,
            crypt_method=0,
            l1_size=self.l1_size,
            l1_table_offset=self.l1_offset,
            refcount_table_offset=refcounts.table_offset,
            refcount_table_clusters=refcounts.table_clusters,
            nb_snapshots=0,
            snapshots_offset=0,
            incompatible_features=INCOMPATIBLE_EXTENDED_L2 if self.extended else 0,
        )
        return header.pack() + extensions + name


class Refcounts:
    """The refcount table and blocks that come behind `clusters` clusters: all of them, and these too, are used once."""

    def __init__(self, clusters: int, cluster_size: int) -> None:
        self.per_block = cluster_size // _REFCOUNT_BYTES
        self.blocks = self.table_clusters = 0
        needed = (1, 1)
        while needed != (self.blocks, self.table_clusters):
            self.blocks, self.table_clusters = needed
            blocks = -(-(clusters + self.blocks + self.table_clusters) // self.per_block)
            needed = blocks, -(-blocks * ENTRY_SIZE // cluster_size)
        self.table_offset = clusters * cluster_size
        self.blocks_offset = self.table_offset + self.table_clusters * cluster_size
        self.clusters = clusters + self.blocks + self.table_clusters

    def block(self, number: int) -> bytes:
        """What a block holds."""
        count = min(self.per_block, self.clusters - number * self.per_block)
        return (1).to_bytes(_REFCOUNT_BYTES, "big") * count


def plan(new: NewLayer) -> Plan:
    """Plan a file. Raises InvalidInput for what qcow2 can't hold."""
    if new.allocation is Allocation.FIXED:
        raise InvalidInput("there are no fixed qcow2 disks; use raw")
    if (new.parent is None) is (new.allocation is Allocation.DIFFERENCING):
        raise InvalidInput(f"a {new.allocation.value} disk {'needs a' if not new.parent else 'can have no'} parent")
    if new.size % _SECTOR or new.size <= 0 or new.sector_size % _SECTOR or new.size % new.sector_size:
        raise InvalidInput(f"the size is {new.size}, it must be a multiple of {max(_SECTOR, new.sector_size)} above 0")
    extended = new.parent is not None and not new.block_size
    default = SUBCLUSTER_CLUSTER_BITS_MINIMUM if extended else CLUSTER_BITS_DEFAULT
    size = new.block_size or 1 << default
    if size & (size - 1) or not 1 << CLUSTER_BITS_MINIMUM <= size <= 1 << CLUSTER_BITS_MAXIMUM:
        raise InvalidInput(f"the cluster size is {size}, qcow2 has powers of two from 512 bytes to 2 MiB")
    planned = Plan(new, size.bit_length() - 1, extended)
    if (length := planned.header_length) > size:
        raise InvalidInput(
            f"the header has {length} bytes with the parent's name, it must fit into a cluster of {size}"
        )
    if planned.l1_size * ENTRY_SIZE > L1_MAXIMUM:
        largest = L1_MAXIMUM // ENTRY_SIZE * planned.cluster_size * planned.l2_entries
        raise InvalidInput(f"the size is {new.size}, with clusters of {size} bytes qcow2 has up to {largest}")
    return planned


def _backing(parent: ParentReference | None) -> tuple[bytes, str]:
    """The parent's name and format as they are recorded."""
    if parent is None:
        return b"", ""
    if not parent.paths:
        raise InvalidInput("a qcow2 disk's parent needs a path; this one has none")
    path = parent.paths[0]
    text = path.text
    if path.kind is PathKind.RELATIVE:
        text = path.pure().as_posix()
        # before the first slash a colon would make a protocol of it
        text = f"./{text}" if ":" in text.partition("/")[0] else text
    name = os.fsencode(text)
    if not 0 < len(name) <= BACKING_NAME_MAXIMUM:
        raise InvalidInput(f"the parent's name has {len(name)} bytes, qcow2 has room for 1 to {BACKING_NAME_MAXIMUM}")
    return name, _FORMAT_NAMES.get(parent.format, parent.format)
