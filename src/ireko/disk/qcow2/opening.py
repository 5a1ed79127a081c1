"""What is read of a qcow2 file when it is opened as a layer."""

from __future__ import annotations

from dataclasses import dataclass

from ireko.disk import unread
from ireko.disk.errors import DiskDamaged, DiskUnsupported
from ireko.disk.files import DiskFile
from ireko.disk.qcow2.structure import (
    BACKING_NAME_MAXIMUM,
    CLUSTER_BITS_MAXIMUM,
    CLUSTER_BITS_MINIMUM,
    DEFLATE,
    ENTRY_SIZE,
    EXTENSION_BACKING_FORMAT,
    EXTENSION_FEATURE_NAMES,
    HEADER_LENGTH_2,
    HEADER_LENGTH_3,
    INCOMPATIBLE_COMPRESSION,
    INCOMPATIBLE_CORRUPT,
    INCOMPATIBLE_DATA_FILE,
    INCOMPATIBLE_DIRTY,
    INCOMPATIBLE_EXTENDED_L2,
    L1_MAXIMUM,
    MAGIC,
    REFCOUNT_ORDER_MAXIMUM,
    SUBCLUSTER_CLUSTER_BITS_MINIMUM,
    VERSION_2,
    VERSION_3,
    ZSTD,
    Header,
    name_text,
    unpack_extensions,
)

_HEAD = 1 << 16
_SECTOR = 512
_SIZE_MAXIMUM = 1 << 62
_KNOWN = (
    INCOMPATIBLE_DIRTY
    | INCOMPATIBLE_CORRUPT
    | INCOMPATIBLE_DATA_FILE
    | INCOMPATIBLE_COMPRESSION
    | INCOMPATIBLE_EXTENDED_L2
)
_FEATURE_NAME_LENGTH = 48


@dataclass(frozen=True)
class Structures:
    """The header and what follows it; of the tables nothing has been read yet.

    `backing_file` is the parent's name as it stands there, "" without one. `length` is the file's when it was opened.
    """

    file: DiskFile
    length: int
    header: Header
    backing_file: str
    backing_format: str
    compression: int

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.header.cluster_bits

    @property
    def extended(self) -> bool:
        """Whether clusters have subclusters."""
        return bool(self.header.incompatible_features & INCOMPATIBLE_EXTENDED_L2)

    @property
    def entry_words(self) -> int:
        """Numbers of 8 bytes in an L2 entry."""
        return 2 if self.extended else 1

    @property
    def l2_entries(self) -> int:
        """Clusters that an L2 table stands for."""
        return self.cluster_size // (ENTRY_SIZE * self.entry_words)


def read_structures(file: DiskFile) -> Structures:
    """Read and check them. Raises DiskDamaged, DiskUnsupported."""
    data = file.read(0, _HEAD)
    header = _header(file, data)
    _check_features(file, data, header)
    _check_numbers(file, header)
    structures = Structures(
        file,
        file.length(),
        header,
        _backing_file(file, data, header),
        _extensions(file, data, header).get(EXTENSION_BACKING_FORMAT, b"").decode(errors="replace"),
        _compression(file, data, header),
    )
    _check_l1(structures)
    return structures


def _header(file: DiskFile, data: bytes) -> Header:
    if data[:4] != MAGIC.to_bytes(4, "big"):
        raise DiskDamaged(file.path, "the magic number", offset=0, found=data[:4], wanted=MAGIC.to_bytes(4, "big"))
    version = int.from_bytes(data[4:8], "big")
    if version not in {VERSION_2, VERSION_3}:
        old = unread.recognise(file.read(0, unread.HEAD))
        hint = old.remedy_for(file.path) if old else ""
        raise DiskUnsupported(file.path, "the version", offset=4, found=version, wanted="2 or 3", hint=hint)
    wanted = HEADER_LENGTH_2 if version == VERSION_2 else HEADER_LENGTH_3
    if len(data) < wanted:
        found = f"cut off after {len(data)} bytes"
        raise DiskDamaged(file.path, "the header", offset=0, found=found, wanted=f"{wanted} bytes long")
    header = Header.unpack(data)
    if not wanted <= header.header_length <= len(data) or header.header_length % 8:
        text = f"a multiple of 8 from {wanted} to {len(data)}"
        raise DiskDamaged(file.path, "the header's length", offset=100, found=header.header_length, wanted=text)
    return header


def _check_features(file: DiskFile, data: bytes, header: Header) -> None:
    features = header.incompatible_features
    if features & INCOMPATIBLE_DATA_FILE:
        raise DiskUnsupported(
            file.path,
            "the place of the data",
            offset=72,
            found="an external data file",
            wanted="this file",
            hint=f'qemu-img convert -O qcow2 "{file.path}" whole.qcow2',
        )
    if unknown := features & ~_KNOWN:
        names = _feature_names(file, data, header)
        found = ", ".join(names.get(bit, f"bit {bit}") for bit in range(64) if unknown >> bit & 1)
        raise DiskUnsupported(
            file.path, "a feature that readers must know", offset=72, found=found, wanted="a known one"
        )
    if header.crypt_method:
        raise DiskUnsupported(
            file.path,
            "the encryption method",
            offset=32,
            found=header.crypt_method,
            wanted="0, for none",
            hint="qemu-img convert makes a plain copy of it, given its secret",
        )


def _feature_names(file: DiskFile, data: bytes, header: Header) -> dict[int, str]:
    """What the file calls its incompatible features."""
    table = _extensions(file, data, header).get(EXTENSION_FEATURE_NAMES, b"")
    entries = [table[place : place + _FEATURE_NAME_LENGTH] for place in range(0, len(table), _FEATURE_NAME_LENGTH)]
    return {
        each[1]: each[2:].rstrip(b"\0").decode(errors="replace")
        for each in entries
        if len(each) == _FEATURE_NAME_LENGTH and each[0] == 0
    }


def _extensions(file: DiskFile, data: bytes, header: Header) -> dict[int, bytes]:
    end = header.backing_file_offset or min(1 << min(header.cluster_bits, CLUSTER_BITS_MAXIMUM), len(data))
    try:
        return unpack_extensions(data[:end], header.header_length)
    except ValueError as error:
        raise DiskDamaged(
            file.path, "a header extension", offset=header.header_length, found=str(error), wanted="inside the header"
        ) from error


def _check_numbers(file: DiskFile, header: Header) -> None:
    bits = header.cluster_bits
    least = CLUSTER_BITS_MINIMUM
    if header.incompatible_features & INCOMPATIBLE_EXTENDED_L2:
        least = SUBCLUSTER_CLUSTER_BITS_MINIMUM
    if not least <= bits <= CLUSTER_BITS_MAXIMUM:
        wanted = f"{least} to {CLUSTER_BITS_MAXIMUM}"
        raise DiskDamaged(file.path, "the number of cluster bits", offset=20, found=bits, wanted=wanted)
    if header.size % _SECTOR or header.size > _SIZE_MAXIMUM:
        wanted = f"a multiple of {_SECTOR} up to {_SIZE_MAXIMUM}"
        raise DiskDamaged(file.path, "the size", offset=24, found=header.size, wanted=wanted)
    if header.refcount_order > REFCOUNT_ORDER_MAXIMUM:
        wanted = f"0 to {REFCOUNT_ORDER_MAXIMUM}"
        raise DiskDamaged(file.path, "the refcount order", offset=96, found=header.refcount_order, wanted=wanted)


def _check_l1(structures: Structures) -> None:
    header, path = structures.header, structures.file.path
    covered = structures.cluster_size * structures.l2_entries
    wanted = -(-header.size // covered)
    if header.l1_size < wanted or header.l1_size * ENTRY_SIZE > L1_MAXIMUM:
        text = f"{wanted} to {L1_MAXIMUM // ENTRY_SIZE}"
        raise DiskDamaged(path, "the number of L1 entries", offset=36, found=header.l1_size, wanted=text)
    offset, end = header.l1_table_offset, header.l1_table_offset + wanted * ENTRY_SIZE
    if wanted and (offset % structures.cluster_size or not offset or end > structures.length):
        text = f"a cluster's, with the table inside the file of {structures.length} bytes"
        raise DiskDamaged(path, "the L1 table's offset", offset=40, found=offset, wanted=text)


def _backing_file(file: DiskFile, data: bytes, header: Header) -> str:
    start, length = header.backing_file_offset, header.backing_file_size
    if not start or not length:
        return ""
    limit = min(1 << header.cluster_bits, len(data))
    if length > BACKING_NAME_MAXIMUM or start < HEADER_LENGTH_2 or start + length > limit:
        found = f"{length} bytes at {start}"
        wanted = f"{BACKING_NAME_MAXIMUM} bytes or less, in the first {limit}"
        raise DiskDamaged(file.path, "the parent's name", offset=8, found=found, wanted=wanted)
    return name_text(data[start : start + length])


def _compression(file: DiskFile, data: bytes, header: Header) -> int:
    found = data[HEADER_LENGTH_3] if header.header_length > HEADER_LENGTH_3 else DEFLATE
    if bool(header.incompatible_features & INCOMPATIBLE_COMPRESSION) is (found == DEFLATE):
        wanted = "another than 0 exactly when its feature bit is set"
        raise DiskDamaged(file.path, "the compression type", offset=HEADER_LENGTH_3, found=found, wanted=wanted)
    if found not in {DEFLATE, ZSTD}:
        wanted = f"{DEFLATE} or {ZSTD}"
        raise DiskUnsupported(file.path, "the compression type", offset=HEADER_LENGTH_3, found=found, wanted=wanted)
    return found
