"""What a qcow2 file begins with when its parent has another name: all else in the file can stay as it is."""

from __future__ import annotations

import os
import struct

from ireko.disk.files import DiskFile
from ireko.disk.qcow2.structure import HEADER_LENGTH_3, Header

_LENGTH = struct.Struct(">I")
_LENGTH_OFFSET = 16


def renamed_head(file: DiskFile, parent: str) -> bytes | None:
    """The beginning of an overlay with another name for its parent, which is as long as what it replaces in the file.

    None when there is no room for the name. The file must have been opened as a layer: its header is sound.
    """
    header = Header.unpack(file.read_exactly(0, HEADER_LENGTH_3, "the header"))
    name = os.fsencode(parent)
    start, room = header.backing_file_offset, header.backing_file_size
    if len(name) > room:
        return None
    head = bytearray(file.read_exactly(0, start + room, "the header"))
    head[start : start + room] = name.ljust(room, b"\0")
    _LENGTH.pack_into(head, _LENGTH_OFFSET, len(name))
    return bytes(head)
