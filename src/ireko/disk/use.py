"""Whether a machine that runs writes to a disk file."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from ireko.disk.files import DiskFile
from ireko.errors import Conflict

_LOCK = struct.Struct("@hhqqi0q")
"""The system's struct flock: type, whence, start, length, process."""
_WRITES = 101
"""The byte that QEMU locks while it may write: 100, and the number of the right to write."""


def refuse_use(path: Path) -> None:
    """Raises Conflict when a machine writes to a file: were it replaced, the machine would go on with the old one."""
    with DiskFile(path) as file:
        if written_to(file):
            raise Conflict(f'the disk "{path}" is in use by a machine that runs', hint="stop the machine first")


if sys.platform == "linux":

    def written_to(file: DiskFile) -> bool:
        """Whether QEMU has the file open for writing. Where the file system has no locks, nobody can tell."""
        import fcntl

        asked = _LOCK.pack(fcntl.F_WRLCK, 0, _WRITES, 1, 0)
        try:
            answer = fcntl.fcntl(file.descriptor, fcntl.F_OFD_GETLK, asked)
        except OSError:
            return False
        return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)

else:

    def written_to(file: DiskFile) -> bool:
        """Nobody can tell here; on Windows the system itself refuses to replace a file that is open."""
        return False
