"""The file tree that a chain of fake disks shows: reads go through the chain, writes go to its leaf."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ireko.drivers.fake.disks import DiskFile, Files, Node, chain
from ireko.errors import Damaged


def now() -> int:
    """The present in whole seconds, as the tree stores times."""
    return int(time.time())


def folder(mode: int = 0o755) -> Node:
    """A fresh folder."""
    return Node("folder", stat.S_IFDIR | mode, now())


def file(data: bytes, mode: int = 0o644) -> Node:
    """A fresh file."""
    return Node("file", stat.S_IFREG | mode, now(), data=data)


class Tree:
    """What one disk shows. Keys are absolute paths; the root is always there.

    Each change is written through to the leaf's file at once.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open a disk. Raises Damaged."""
        layers = list(chain(path))
        self.path = path
        self.read_only = read_only
        self.bytes_read = sum(each.stat().st_size for each, _ in layers)
        self.bytes_written = 0
        self._leaf = layers[0][1]
        self._nodes: dict[str, Node] = {"/": folder()}
        for _, layer in reversed(layers):
            self._show(layer.files)

    @property
    def disk_id(self) -> str:
        """What the leaf is known by, however it is named."""
        return self._leaf.id

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
        changes: Files = {}
        for path, node in entries:
            new = path not in self._nodes
            if node is None:
                changes.update((each, None) for each in self.below(path))
            changes[path] = node
            parent = path.rpartition("/")[0] or "/"
            if (new or node is None) and path != "/" and changes.get(parent, self._nodes.get(parent)):
                changes[parent] = msgspec.structs.replace(changes.get(parent) or self._nodes[parent], mtime=now())
        self._leaf.files.update(changes)
        self._show(changes)
        self._save()

    def switch(self, leaf: Path) -> None:
        """Write to another leaf from now on, which is an empty child of the present one. Raises Damaged."""
        fresh = DiskFile.load(leaf)
        if fresh.files:
            raise Damaged(f'the disk "{leaf}" is not empty')
        self._leaf, self.path = fresh, leaf

    def _show(self, changes: Files) -> None:
        for path, node in changes.items():
            if node is None:
                self._nodes.pop(path, None)
            else:
                self._nodes[path] = node

    def _save(self) -> None:
        self.bytes_written += self._leaf.save(self._place())

    def _place(self) -> Path:
        """Where the leaf is now: an open file follows its renaming, and so do we."""
        for path in (self.path, *sorted(self.path.parent.glob(f"*{self.path.suffix}"))):
            try:
                if DiskFile.load(path).id == self._leaf.id:
                    return path
            except Damaged:
                continue
        raise Damaged(f'the disk "{self.path}" has gone')
