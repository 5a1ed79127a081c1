"""Files in a guest, as `docker cp` wants them: modes are Go's."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ireko.api.encode.times import rfc3339
from ireko.drivers.base import FileEntry

_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def go_mode(mode: int) -> int:
    """`st_mode` with the bits where Go's os.FileMode has them."""
    bits = sum(bit for ours, bit in _BITS.items() if mode & ours)
    return _KINDS.get(stat.S_IFMT(mode), 0) | bits | stat.S_IMODE(mode) & 0o777


def path_stat(entry: FileEntry) -> dict[str, Any]:
    """docker's description of a file."""
    return {
        "name": PurePosixPath(entry.path).name or "/",
        "size": entry.size,
        "mode": go_mode(entry.mode),
        "mtime": rfc3339(datetime.fromtimestamp(entry.mtime, UTC)),
        "linkTarget": entry.link_target,
    }


def path_stat_header(entry: FileEntry) -> dict[str, str]:
    """The header that the archive routes answer with."""
    return {"X-Docker-Container-Path-Stat": base64.b64encode(msgspec.json.encode(path_stat(entry))).decode()}
