"""The file tree that a chain of disks shows: it is read through the chain, and written to its leaf."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ireko.disk import qcow2
from ireko.disk.base import Layer
from ireko.disk.chain import open_chain
from ireko.disk.formats import open_layer
from ireko.disk.operations.rewriting import same_as
from ireko.drivers.fake import content
from ireko.drivers.fake.content import Files, Node
from ireko.drivers.fake.disks import FORMAT, write_disk
from ireko.errors import Damaged, IrekoError, NotFound


def now() -> int:
    """The present in whole seconds, as the tree stores times."""
    return int(time.time())


def folder(mode: int = 0o755) -> Node:
    """A fresh folder."""
    return Node("folder", stat.S_IFDIR | mode, now())


def file(data: bytes, mode: int = 0o644) -> Node:
    """A fresh file."""
    return Node("file", stat.S_IFREG | mode, now(), data=data)


class _Stamp(NamedTuple):
    """What a file is told again by after it was renamed. A number alone may be given to the next file when this one is gone."""

    device: int
    number: int
    modified: int
    length: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


class _Leaf:
    """The file that a tree is written to, and what it is made anew as."""

    def __init__(self, layer: Layer) -> None:
        self.path = layer.info.path
        self.stamp = _Stamp.of(os.fstat(layer.file.descriptor))
        self._new = same_as(layer.info)
        self._format = layer.info.format

    def write(self, files: Files) -> int:
        """Make it anew, where it is now; how many bytes of the disk were written. Raises Damaged, NoSpace, OSError (ENOSPC)."""
        data = content.encode(files, self._new.size)
        place = self._place()
        write_disk(place, self._new, data, format_name=self._format)
        self.stamp = _Stamp.of(place.stat())
        return len(data)

    def _place(self) -> Path:
        """Where it is now: an open file follows its renaming, and so do we."""
        for path in (self.path, *sorted(self.path.parent.glob(f"*{self.path.suffix}"))):
            try:
                if _Stamp.of(path.stat()) == self.stamp:
                    return path
            except OSError:
                continue
        raise Damaged(f'the disk "{self.path}" has gone, or was changed while a machine ran on it')


class Tree:
    """What one disk shows. Keys are absolute paths; the root is always there.

    Each change is written through to the leaf's file at once.
    """

    def __init__(self, path: Path, *, format_name: str = "", read_only: bool = False) -> None:
        """Open a disk, whose format is found by looking unless it is given. Raises Damaged."""
        self.read_only = read_only
        self.bytes_written = 0
        anywhere = [Path(path.absolute().anchor)]  # whoever starts a machine has looked at where its disk's parents lie
        try:
            with open_chain(path, within=anywhere, format_name=format_name) as chain:
                self._leaf = _Leaf(chain.leaf)
                files, self.bytes_read = content.read(chain.view)
        except IrekoError as error:
            raise _damaged(path, error) from error
        self._nodes: Files = {"/": folder(), **files}

    @property
    def path(self) -> Path:
        """The leaf's file, as it was named when it was opened."""
        return self._leaf.path

    @property
    def disk_id(self) -> object:
        """What the leaf is known by, however it is named."""
        return self._leaf.stamp

    def get(self, path: str) -> Node:
        """Raises FileNotFoundError."""
        try:
            return self._nodes[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Everything, folders before what is in them."""
        return iter(sorted(self._nodes.items()))

    def below(self, path: str) -> list[str]:
        """The paths of everything in a folder and its folders, without the folder."""
        prefix = path.rstrip("/") + "/"
        return sorted(each for each in self._nodes if each.startswith(prefix) and each != "/")

    def names(self, path: str) -> list[str]:
        """The names of what is directly in a folder."""
        start = len(path.rstrip("/")) + 1
        return [each[start:] for each in self.below(path) if "/" not in each[start:]]

    def put(self, *entries: tuple[str, Node | None]) -> None:
        """Set nodes, or delete them and what is in them, as one write. Raises PermissionError when it is read-only."""
        if self.read_only:
            raise PermissionError(entries[0][0])
        nodes = self._nodes.copy()
        for path, node in entries:
            parent = path.rpartition("/")[0] or "/"
            if (path not in nodes or node is None) and path != "/" and parent in nodes:
                nodes[parent] = msgspec.structs.replace(nodes[parent], mtime=now())
            if node is not None:
                nodes[path] = node
                continue
            for each in (*self.below(path), path):
                nodes.pop(each, None)
        self.bytes_written += self._leaf.write(nodes)
        self._nodes = nodes

    def switch(self, leaf: Path) -> None:
        """Write to another leaf from now on, which is an empty child of the present one. Raises Damaged."""
        try:
            with open_layer(leaf, format_name=FORMAT) as layer:  # its parent may lie elsewhere yet
                fresh = _Leaf(layer)
        except IrekoError as error:
            raise _damaged(leaf, error) from error
        if not qcow2.is_untouched(leaf):
            raise Damaged(f'the disk "{leaf}" is not empty')
        self._leaf = fresh


def _damaged(path: Path, error: IrekoError) -> Damaged:
    """The one kind of error that a hypervisor has for a disk that it can't use, whatever the reason."""
    if isinstance(error, NotFound):
        return Damaged(f'the disk "{path}" is missing')
    return error if isinstance(error, Damaged) else Damaged(error.message, hint=error.hint)
