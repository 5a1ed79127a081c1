"""The fake hypervisor's disks: small JSON files that hold one layer of a file tree each, in chains as real ones are.

    {"magic": "ireko-fake-disk-1", "id": "…", "capacity": 1073741824, "parent": "../../layers/…/disk.fake",
     "files": {"/etc/motd": {"kind": "file", "mode": 33188, …, "data": "base64"}, "/gone": null}}

`files` holds what this layer changed: a node, or null for what it deleted. `parent` is relative to the file's folder.
"""

# ruff: noqa: D102 - what the methods promise stands in ireko.drivers.base

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from ireko.drivers.base import Disks
from ireko.errors import AlreadyThere, Damaged, NoSpace

FORMAT = "fake"
_MAGIC = "ireko-fake-disk-1"
_DIGEST_LENGTH = 32


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


Files = dict[str, Node | None]


class DiskFile(msgspec.Struct):
    """One layer. `id` tells the file again after it was renamed."""

    magic: str
    id: str
    capacity: int
    parent: str | None
    files: Files

    @classmethod
    def fresh(cls, *, capacity: int, parent: str | None = None, files: Files | None = None) -> DiskFile:
        """An empty layer, or one that begins with these files."""
        return cls(_MAGIC, secrets.token_hex(16), capacity, parent, files or {})

    @classmethod
    def load(cls, path: Path) -> DiskFile:
        """Raises Damaged."""
        try:
            disk = msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError as error:
            raise Damaged(f'the disk "{path}" is missing') from error
        except (OSError, msgspec.MsgspecError) as error:
            raise Damaged(f'the disk "{path}" can\'t be read: {error}') from error
        if disk.magic != _MAGIC:
            raise Damaged(f'"{path}" is no fake disk: it begins with "{disk.magic}"')
        return disk

    def save(self, path: Path) -> int:
        """Replace the file whole; the bytes that were written. Raises NoSpace."""
        data = msgspec.json.encode(self)
        beside = path.with_name(f".{path.name}.new")
        try:
            beside.write_bytes(data)
            beside.chmod(0o600)
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise NoSpace(f'there is no room for "{path}": {error.strerror}', hint="ireko system df") from error
            raise
        return len(data)


def chain(path: Path) -> Iterator[tuple[Path, DiskFile]]:
    """A disk and its ancestors. Raises Damaged when one is missing."""
    present: Path | None = path
    while present is not None:
        disk = DiskFile.load(present)
        yield present, disk
        present = present.parent / disk.parent if disk.parent is not None else None


class FakeDisks(Disks):
    """Disk files of the fake format. `step` is told before and after each is made."""

    def __init__(self, step: Callable[[str], None]) -> None:
        self._step = step

    def create(self, path: Path, *, parent: Path | None, capacity: int, parent_format: str = "") -> None:
        del parent_format
        if path.exists():
            raise AlreadyThere(f'the disk "{path}" is already there')
        self._step("disks.create")
        name = Path(os.path.relpath(parent.absolute(), path.parent.absolute())).as_posix() if parent else None
        DiskFile.fresh(capacity=capacity, parent=name).save(path)
        try:
            self._step("disks.created")
        except Exception:
            path.unlink()
            raise

    def capacity(self, path: Path) -> int:
        return DiskFile.load(path).capacity

    def identify(self, path: Path) -> str:
        DiskFile.load(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGEST_LENGTH]

    def untouched(self, path: Path) -> bool:
        return not DiskFile.load(path).files
