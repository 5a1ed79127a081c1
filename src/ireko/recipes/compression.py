"""Unpacking what kernels are compressed with: by the standard library, else by the libraries that apt itself stands on."""

from __future__ import annotations

import ctypes
import ctypes.util
import gzip
import lzma
import struct
from collections.abc import Callable

from ireko.errors import Damaged, ProgramMissing, Unsupported

_LZ4_BLOCK = 8 << 20  # what one block of the "legacy" format holds at most, and all but the last do
_LZ4_MAGIC = b"\x02\x21\x4c\x18"


def unpack(data: bytes, size: int) -> bytes:
    """Unpack `data`, which becomes `size` bytes. Raises Damaged, Unsupported, ProgramMissing."""
    for magic, unpacker in _UNPACKERS:
        if data.startswith(magic):
            unpacked = unpacker(data, size)
            if len(unpacked) != size:
                raise Damaged(f"a compressed kernel became {len(unpacked)} bytes, {size} were promised")
            return unpacked
    raise Unsupported(f"a kernel is compressed in a way that is not known here: it begins with {data[:8].hex()}")


def _lz4(data: bytes, size: int) -> bytes:
    """The "legacy" frame (lz4_Frame_format.md): blocks with their length before them, each unpacked by itself."""
    library = _library("lz4")
    out = ctypes.create_string_buffer(size)
    read, written = len(_LZ4_MAGIC), 0
    while written < size:
        (length,) = struct.unpack_from("<I", data, read)
        block = data[read + 4 : read + 4 + length]
        room = min(_LZ4_BLOCK, size - written)
        got = library.LZ4_decompress_safe(block, ctypes.byref(out, written), len(block), room)
        if got <= 0:
            raise Damaged(f"the compressed kernel is damaged at byte {read}")
        written += got
        read += 4 + length
    return out.raw


def _zstd(data: bytes, size: int) -> bytes:
    library = _library("zstd")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
    frame = library.ZSTD_findFrameCompressedSize(data, ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(size)
    got = library.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(frame))
    if got != size:
        raise Damaged("the compressed kernel is damaged")
    return out.raw


def _xz(data: bytes, size: int) -> bytes:
    return lzma.LZMADecompressor().decompress(data, size)


def _gzip(data: bytes, size: int) -> bytes:
    del size
    return gzip.decompress(data)


def _library(name: str) -> ctypes.CDLL:
    found = ctypes.util.find_library(name) or f"lib{name}.so.1"
    try:
        return ctypes.CDLL(found)
    except OSError as error:
        raise ProgramMissing(
            f'the library "lib{name}" is not installed', hint=f"sudo apt-get install lib{name}-1"
        ) from error


_UNPACKERS: tuple[tuple[bytes, Callable[[bytes, int], bytes]], ...] = (
    (_LZ4_MAGIC, _lz4),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"\xfd7zXZ\0", _xz),
    (b"]\0\0", _xz),
    (b"\x1f\x8b", _gzip),
)
