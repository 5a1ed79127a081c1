"""The guest's whole file tree: the root disk and the volumes mounted on it, with folders and symbolic links as POSIX has them."""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass

import msgspec

from ireko.drivers.fake.content import Node
from ireko.drivers.fake.tree import Tree, file, folder, now

_MOST_LINKS = 40


@dataclass(frozen=True)
class Place:
    """A path as the tree that holds it knows it."""

    tree: Tree
    inner: str


class FileSystem:
    """Paths are absolute. Its errors are the OSErrors of a real one, with the path as their text."""

    def __init__(self, root: Tree) -> None:
        self.root = root
        self._mounts: list[tuple[str, Tree]] = [("/", root)]

    @property
    def trees(self) -> list[Tree]:
        """Every mounted tree, the root first."""
        return [tree for _, tree in self._mounts]

    def mount(self, path: str, tree: Tree) -> None:
        """Show a tree at a folder, which is made when it is missing."""
        self.make_folders(path)
        self._mounts.append((self.resolve(path), tree))

    def resolve(self, path: str, *, last: bool = True) -> str:
        """The path without symbolic links; `last` says whether its last part may be followed too."""
        waiting = [part for part in reversed(path.split("/")) if part]
        done, followed = "/", 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                done = posixpath.dirname(done)
            if part in {".", ".."}:
                continue
            here = posixpath.join(done, part)
            node = self._find(here)
            if node is not None and node.kind == "link" and (last or waiting):
                followed += 1
                if followed > _MOST_LINKS:
                    raise OSError(f"{path}: too many symbolic links")
                done = "/" if node.target.startswith("/") else done
                waiting += [each for each in reversed(node.target.split("/")) if each]
            else:
                done = here
        return done

    def get(self, path: str, *, last: bool = True) -> Node:
        """What is at a path. Raises FileNotFoundError."""
        node = self._find(self.resolve(path, last=last))
        if node is None:
            raise FileNotFoundError(path)
        return node

    def exists(self, path: str, *, last: bool = True) -> bool:
        """Whether anything is at a path."""
        return self._find(self.resolve(path, last=last)) is not None

    def is_folder(self, path: str) -> bool:
        """Whether a folder is at a path."""
        return self.exists(path) and self.get(path).kind == "folder"

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError, IsADirectoryError."""
        node = self.get(path)
        if node.kind == "folder":
            raise IsADirectoryError(path)
        return node.data

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Write a file, which keeps its mode when it exists. Raises FileNotFoundError for the folder, IsADirectoryError."""
        if self.exists(path):
            old = self.get(path)
            if old.kind == "folder":
                raise IsADirectoryError(path)
            fresh = msgspec.structs.replace(old, data=old.data + data if append else data, mtime=now())
        else:
            fresh = file(data)
        self.put(path, fresh, last=True)

    def put(self, path: str, node: Node, *, last: bool = False) -> None:
        """Set a node as it is, in an existing folder. Raises FileNotFoundError, NotADirectoryError."""
        real = self.resolve(path, last=last)
        parent = self.get(posixpath.dirname(real))
        if parent.kind != "folder":
            raise NotADirectoryError(path)
        place = self._place(real)
        place.tree.put((place.inner, node))

    def make_folder(self, path: str) -> None:
        """Raises FileExistsError, FileNotFoundError."""
        if self.exists(path):
            raise FileExistsError(path)
        self.put(path, folder())

    def make_folders(self, path: str) -> None:
        """Make a folder and those above it; those that exist are left."""
        present = "/"
        for part in path.split("/"):
            present = posixpath.join(present, part)
            if not self.exists(present):
                self.make_folder(present)

    def remove(self, path: str) -> None:
        """Remove what is at a path, a symbolic link itself, a folder with all in it. Raises FileNotFoundError."""
        self.get(path, last=False)
        place = self._place(self.resolve(path, last=False))
        place.tree.put((place.inner, None))

    def names(self, path: str) -> list[str]:
        """The names in a folder. Raises FileNotFoundError, NotADirectoryError."""
        if self.get(path).kind != "folder":
            raise NotADirectoryError(path)
        place = self._place(self.resolve(path))
        return place.tree.names(place.inner)

    def executable(self, path: str) -> bool:
        """Whether a file is there that may be executed."""
        node = self.get(path)
        return node.kind == "file" and bool(stat.S_IMODE(node.mode) & 0o111)

    def _find(self, real: str) -> Node | None:
        place = self._place(real)
        try:
            return place.tree.get(place.inner)
        except FileNotFoundError:
            return None

    def _place(self, real: str) -> Place:
        at, tree = max(
            (each for each in self._mounts if posixpath.commonpath((each[0], real)) == each[0]),
            key=lambda each: len(each[0]),
        )
        return Place(tree, posixpath.join("/", real[len(at) :].lstrip("/")))
