"""The files of a root file system, from a tar archive, with others laid over them."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from ireko.recipes.filesystem import Entry

_ATTRIBUTE = "SCHILY.xattr."
_TYPES = {tarfile.REGTYPE: stat.S_IFREG, tarfile.LNKTYPE: stat.S_IFREG, tarfile.SYMTYPE: stat.S_IFLNK}
Files = dict[str, Entry]
"""Entries by their path."""


def unpack(archive: Path, folder: Path) -> Files:
    """The entries of a tar archive; the content of regular files is put into `folder`, below the same names.

    Owners and modes are in the entries alone. Devices, which a system makes for itself, are left out. Raises OSError.
    """
    files: Files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = _absolute(member.name)
            if member.isdir() or member.type in _TYPES:
                files[path] = _entry(path, tar, member, folder)
    return files


def _entry(path: str, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> Entry:
    kind = stat.S_IFDIR if member.isdir() else _TYPES[member.type]
    return Entry(
        path,
        kind | stat.S_IMODE(member.mode),
        uid=member.uid,
        gid=member.gid,
        mtime=int(member.mtime),
        source=_content(tar, member, folder / path[1:]) if member.isreg() else None,
        target=_absolute(member.linkname) if member.islnk() else member.linkname,
        attributes={
            name.removeprefix(_ATTRIBUTE): value.encode(errors="surrogateescape")
            for name, value in member.pax_headers.items()
            if name.startswith(_ATTRIBUTE)
        },
    )


def _absolute(name: str) -> str:
    return str(PurePosixPath("/") / name)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    with place.open("xb") as file:
        while piece := source.read(1 << 20):
            file.write(piece)
    return place


def lay_over(files: Files, tree: Traversable, folder: Path) -> None:
    """Put the files of a folder of this package over `files`; `folder` gets their content."""
    for path, content in _contents(tree, ""):
        write(files, path, content, folder)


def write(files: Files, path: str, content: bytes, folder: Path) -> None:
    """Put a file of root's over `files`; a script can be run. `folder` gets its content."""
    place = folder / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    _add_folders(files, path)
    files[path] = Entry(path, stat.S_IFREG | (0o755 if content.startswith(b"#!") else 0o644), source=place)


def link(files: Files, path: str, target: str) -> None:
    """Put a symbolic link over `files`."""
    _add_folders(files, path)
    files[path] = Entry(path, stat.S_IFLNK | 0o777, target=target)


def in_order(files: Files) -> list[Entry]:
    """The entries, a folder before what is in it and other names of a file at the end."""
    return sorted(files.values(), key=lambda entry: (bool(_second_name(entry)), entry.path.split("/")))


def _second_name(entry: Entry) -> bool:
    return stat.S_ISREG(entry.mode) and entry.source is None


def _add_folders(files: Files, path: str) -> None:
    for folder in PurePosixPath(path).parents:
        files.setdefault(str(folder), Entry(str(folder), stat.S_IFDIR | 0o755))


def _contents(tree: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for child in tree.iterdir():
        if child.is_dir():
            yield from _contents(child, f"{path}/{child.name}")
        else:
            yield f"{path}/{child.name}", child.read_bytes()
