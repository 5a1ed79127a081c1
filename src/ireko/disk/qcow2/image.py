"""What a qcow2 file says of itself."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.qcow2.structure import (
    BACKING_NAME_MAXIMUM,
    CLUSTER_BITS_MAXIMUM,
    CLUSTER_BITS_MINIMUM,
    ENTRY_SIZE,
    EXTENSION_BACKING_FORMAT,
    INCOMPATIBLE_CORRUPT,
    INCOMPATIBLE_DIRTY,
    L1_MAXIMUM,
    Header,
    name_text,
    unpack_extensions,
)
from ireko.errors import Damaged

_READ = 1 << 16
_PIECE = 1 << 20
_DIGEST_LENGTH = 32


@dataclass(frozen=True)
class Qcow2Info:
    """`capacity` is the virtual size in bytes; `header_bytes` everything the header says, extensions and parent included."""

    capacity: int
    backing_file: str
    backing_format: str
    dirty: bool
    header: Header
    header_bytes: bytes
    length: int
    modified: int
    """Nanoseconds since 1970."""

    @property
    def fingerprint(self) -> str:
        """A digest of the header, the length and the time of the last write.

        A write inside an allocated cluster changes nothing but the time, so the time must be in it; the place, the name,
        the mode and the inode must not, so that a disk may be moved or copied (with its times, as cp -a does).
        """
        digest = hashlib.sha256(self.header_bytes)
        digest.update(f"|{self.length}|{self.modified}".encode())
        return digest.hexdigest()[:_DIGEST_LENGTH]


def inspect(path: Path) -> Qcow2Info:
    """Read a file's header. Raises Damaged when the file is missing, or no qcow2 disk."""
    try:
        with path.open("rb") as file:
            data = file.read(_READ)
            status = os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise Damaged(f'the disk "{path}" is missing') from error
    except OSError as error:
        raise Damaged(f'the disk "{path}" can\'t be read: {error.strerror}') from error
    try:
        return _parse(data, status)
    except ValueError as error:
        raise Damaged(f'"{path}" is not a qcow2 disk: {error}') from error


def is_untouched(path: Path) -> bool:
    """Whether nothing was ever written to a disk: no cluster is allocated. Raises Damaged."""
    header = inspect(path).header
    size = header.l1_size * ENTRY_SIZE
    try:
        with path.open("rb") as file:
            file.seek(header.l1_table_offset)
            while size > 0:
                data = file.read(min(size, _PIECE))
                if not data:
                    raise Damaged(f'the disk "{path}" ends within its L1 table')
                if data.count(0) != len(data):
                    return False
                size -= len(data)
    except OSError as error:
        raise Damaged(f'the disk "{path}" can\'t be read: {error.strerror}') from error
    return True


def _parse(data: bytes, status: os.stat_result) -> Qcow2Info:
    header = Header.unpack(data)
    _check(header, status.st_size)
    name_end = header.backing_file_offset + header.backing_file_size
    # extensions lie between the header and the parent's name
    end = header.backing_file_offset or min(1 << header.cluster_bits, len(data))
    extensions = unpack_extensions(data[:end], header.header_length)
    return Qcow2Info(
        capacity=header.size,
        backing_file=name_text(data[header.backing_file_offset : name_end]) if header.backing_file_offset else "",
        backing_format=extensions.get(EXTENSION_BACKING_FORMAT, b"").decode(errors="replace"),
        dirty=bool(header.incompatible_features & (INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT)),
        header=header,
        header_bytes=data[: max(name_end, header.header_length)] if header.backing_file_offset else data[:end],
        length=status.st_size,
        modified=status.st_mtime_ns,
    )


def _check(header: Header, length: int) -> None:
    if not CLUSTER_BITS_MINIMUM <= header.cluster_bits <= CLUSTER_BITS_MAXIMUM:
        raise ValueError(f"the cluster size is 2^{header.cluster_bits} bytes, it may be 2^9 to 2^21")
    cluster = 1 << header.cluster_bits
    if header.backing_file_offset:
        if header.backing_file_size > BACKING_NAME_MAXIMUM:
            raise ValueError(f"the parent's name has {header.backing_file_size} bytes, 1023 are allowed")
        if header.backing_file_offset + header.backing_file_size > min(cluster, length, _READ):
            raise ValueError(f"the parent's name at offset {header.backing_file_offset} goes past the first cluster")
    if header.l1_size * ENTRY_SIZE > L1_MAXIMUM:
        raise ValueError(f"the L1 table has {header.l1_size} entries, that is more than {L1_MAXIMUM} bytes")
