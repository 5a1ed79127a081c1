"""A file tree as the content of a virtual disk: what is a file system to the toy guest.

At the disk's beginning stand 8 bytes to know it by, the length of what follows (8 bytes, little-endian) and a JSON object:

    {"/etc": {"kind": "folder", "mode": 16877, "mtime": 1704067200}, "/etc/motd": {"kind": "file", …, "data": "base64"}}

It is all that the disk shows. A layer that is written to gets the whole of it, so a chain, and whatever is made of one, shows
what its newest layer with content says. What lies behind it is left over from longer trees.
"""

from __future__ import annotations

import errno
import os
from typing import Literal

import msgspec

from ireko.disk.base import ExtentKind
from ireko.disk.view import View
from ireko.errors import Damaged

_MAGIC = b"toyfiles"
_LENGTH_BYTES = 8
_HEAD = len(_MAGIC) + _LENGTH_BYTES
_MOST = 1 << 30
"""Bytes of a tree: it is held in memory, and a length is only what the disk says."""


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file, a folder or a symbolic link. `mode` is `st_mode`, `mtime` in seconds since 1970."""

    kind: Literal["file", "folder", "link"]
    mode: int
    mtime: int
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    target: str = ""

    @property
    def size(self) -> int:
        """In bytes, as `st_size` has it."""
        return len(self.target.encode()) if self.kind == "link" else len(self.data)


Files = dict[str, Node]
"""By absolute path."""


def encode(files: Files, capacity: int) -> bytes:
    """What a disk begins with. Raises OSError (ENOSPC) for a tree that is larger than the disk."""
    data = msgspec.json.encode(files)
    if len(data) > _room(capacity):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _MAGIC + len(data).to_bytes(_LENGTH_BYTES, "little") + data


def read(view: View) -> tuple[Files, int]:
    """The tree on a disk, empty for one that nothing was written to, and how many bytes were read for it. Raises Damaged."""
    head = view.read(0, min(_HEAD, view.size))
    if not head.startswith(_MAGIC):
        _check_blank(view, head)
        return {}, len(head)
    length = int.from_bytes(head[len(_MAGIC) :], "little")
    path, room = view.layers[0].info.path, _room(view.size)
    if length > room:
        raise Damaged(f'the file tree on the disk "{path}" has {length} bytes, it must have {room} or fewer')
    try:
        return msgspec.json.decode(view.read(_HEAD, length), type=Files), _HEAD + length
    except msgspec.MsgspecError as error:
        raise Damaged(f'the file tree on the disk "{path}" can\'t be read: {error}') from error


def _check_blank(view: View, head: bytes) -> None:
    """What begins with zeros may be a disk of somebody else's: those often do."""
    if any(head) or any(extent.kind is ExtentKind.DATA for extent in view.extents()):
        path = view.layers[0].info.path
        raise Damaged(f'the disk "{path}" has no files for a toy guest: it begins with {head!r}, not with {_MAGIC!r}')


def _room(capacity: int) -> int:
    return min(capacity, _MOST) - _HEAD
