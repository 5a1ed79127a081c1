"""Tar streams out of the guest's files and into them."""

from __future__ import annotations

import io
import posixpath
import stat
import tarfile
from collections.abc import Iterator

from ireko.drivers.fake.content import Node
from ireko.drivers.fake.filesystem import FileSystem

_PIECE = 64 * 1024


def pack(files: FileSystem, path: str) -> Iterator[bytes]:
    """What is at a path, with its last name on top (`.` for a path with `/.` at its end), as a tar stream.

    Raises FileNotFoundError.
    """
    name = "." if path.endswith("/.") else posixpath.basename(posixpath.normpath(path)) or "."
    if path.endswith("/.") and not files.is_folder(path):
        raise FileNotFoundError(path)
    path = posixpath.normpath(path)
    files.get(path, last=False)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each, entry in _walk(files, path, name):
            node = files.get(each, last=False)
            archive.addfile(_member(entry, node), io.BytesIO(node.data) if node.kind == "file" else None)
    data = buffer.getvalue()
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def unpack(files: FileSystem, path: str, data: bytes) -> None:
    """Unpack a tar stream into a folder; links out of it are left as they are. Raises tarfile.TarError."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            # as tar does: nothing is written above the folder
            name = posixpath.normpath("/" + member.name).lstrip("/")
            _place(files, posixpath.join(path, name) if name else path, _node(files, path, archive, member))


def _walk(files: FileSystem, path: str, name: str) -> Iterator[tuple[str, str]]:
    yield path, name
    if files.get(path, last=False).kind == "folder":
        for each in files.names(path):
            yield from _walk(files, posixpath.join(path, each), posixpath.join(name, each))


def _member(name: str, node: Node) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}[node.kind]
    member.mode, member.mtime, member.uid, member.gid = stat.S_IMODE(node.mode), node.mtime, node.uid, node.gid
    member.linkname = node.target
    member.size = len(node.data) if node.kind == "file" else 0
    return member


def _node(files: FileSystem, path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Node | None:
    mode, mtime, uid, gid = stat.S_IMODE(member.mode), int(member.mtime), member.uid, member.gid
    if member.isdir():
        return Node("folder", stat.S_IFDIR | mode, mtime, uid, gid)
    if member.issym():
        return Node("link", stat.S_IFLNK | 0o777, mtime, uid, gid, target=member.linkname)
    if member.islnk():
        return files.get(posixpath.join(path, member.linkname), last=False)
    if not member.isfile():
        return None  # devices and the like are nothing to this guest
    file = archive.extractfile(member)
    return Node("file", stat.S_IFREG | mode, mtime, uid, gid, data=file.read() if file else b"")


def _place(files: FileSystem, path: str, node: Node | None) -> None:
    if node is None:
        return
    files.make_folders(posixpath.dirname(path))
    present = files.get(path, last=False) if files.exists(path, last=False) else None
    if present is not None and present.kind == "folder" and node.kind != "folder":
        raise tarfile.TarError(f"{path}: is a folder")
    files.put(path, node)
