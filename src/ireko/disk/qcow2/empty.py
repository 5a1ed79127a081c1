"""Writing empty qcow2 files.

    cluster 0    header, extensions, name of the parent
    cluster 1    refcount table
    cluster 2…   refcount blocks
    then         L1 table, all zero: nothing is allocated

What is zero is left as a hole, so a file takes three blocks of the file system, whatever its size.
"""

from __future__ import annotations

import os
from pathlib import Path

from ireko.disk.qcow2.structure import (
    BACKING_NAME_MAXIMUM,
    CLUSTER_BITS_DEFAULT,
    ENTRY_SIZE,
    EXTENSION_BACKING_FORMAT,
    EXTENSION_END,
    HEADER_LENGTH_3,
    Header,
    pack_extension,
    pack_offset,
)

_SECTOR = 512
_REFCOUNT_BYTES = 2


def create(path: Path, *, capacity: int, backing_file: str = "", backing_format: str = "") -> None:
    """Make an empty disk of `capacity` bytes, on top of another when `backing_file` names it.

    The name is stored as it is: a relative one is relative to the new file's folder. The file is on the disk when this
    returns. Raises FileExistsError; ValueError for a capacity or a name that the format can't hold; OSError.
    """
    name = os.fsencode(backing_file)
    if capacity <= 0 or capacity % _SECTOR:
        raise ValueError(f"the capacity is {capacity}, it must be a multiple of {_SECTOR} above 0")
    if len(name) > BACKING_NAME_MAXIMUM:
        raise ValueError(f"the parent's name has {len(name)} bytes, the format has room for {BACKING_NAME_MAXIMUM}")
    layout = _Layout(capacity)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.truncate(layout.length)
            for offset, data in layout.pieces(name, backing_format):
                file.seek(offset)
                file.write(data)
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _Layout:
    """Where things are in an empty file of one capacity."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._cluster = 1 << CLUSTER_BITS_DEFAULT
        covered_by_l2 = self._cluster // ENTRY_SIZE * self._cluster
        self._l1_size = -(-capacity // covered_by_l2)
        l1_clusters = -(-self._l1_size * ENTRY_SIZE // self._cluster)
        per_block = self._cluster // _REFCOUNT_BYTES
        # a block counts 32768 clusters: one is enough for a capacity of up to 2 EiB
        self._blocks = -(-(3 + l1_clusters) // per_block)
        self._l1_offset = (2 + self._blocks) * self._cluster
        self._clusters = 2 + self._blocks + l1_clusters
        self.length = self._clusters * self._cluster

    def pieces(self, name: bytes, backing_format: str) -> list[tuple[int, bytes]]:
        """Offsets, and what is written there."""
        table = b"".join(pack_offset((2 + n) * self._cluster) for n in range(self._blocks))
        counts = (1).to_bytes(_REFCOUNT_BYTES, "big") * self._clusters
        return [(0, self._header(name, backing_format)), (self._cluster, table), (2 * self._cluster, counts)]

    def _header(self, name: bytes, backing_format: str) -> bytes:
        extensions = pack_extension(EXTENSION_END, b"")
        if backing_format:
            extensions = pack_extension(EXTENSION_BACKING_FORMAT, backing_format.encode()) + extensions
        header = Header(
            version=3,
            backing_file_offset=HEADER_LENGTH_3 + len(extensions) if name else 0,
            backing_file_size=len(name),
            cluster_bits=CLUSTER_BITS_DEFAULT,
            size=self._capacity,
            crypt_method=0,
            l1_size=self._l1_size,
            l1_table_offset=self._l1_offset,
            refcount_table_offset=self._cluster,
            refcount_table_clusters=1,
            nb_snapshots=0,
            snapshots_offset=0,
        )
        return header.pack() + extensions + name
