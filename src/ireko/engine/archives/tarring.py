"""Writing a tar archive as a stream: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html"""

from __future__ import annotations

import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)
"""What an archive ends with."""


def head(name: str, length: int, modified: int) -> bytes:
    """What stands before a file's content. Above 8 GiB its length is in a pax header; `modified` is in seconds since 1970."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = length, modified, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def padding(length: int) -> bytes:
    """What stands behind it."""
    return bytes(-length % BLOCK)
