"""Tar streams for `cp`: docker's rules for names, packing this machine's files, unpacking a guest's."""

from __future__ import annotations

import copy
import io
import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ireko.errors import Conflict, IrekoError, NotFound

_PIECE = 1 << 16
_BLOCK = 512
if sys.platform == "win32":
    _OURSELVES = (0, 0)
else:
    _OURSELVES = (os.geteuid(), os.getegid())


@dataclass(frozen=True)
class End:
    """One end of a copy: its path as written, and what is there now."""

    path: str
    exists: bool
    is_dir: bool


@dataclass(frozen=True)
class Plan:
    """Where a tar stream is unpacked, and under which name its topmost entry arrives there; None keeps its own."""

    folder: str
    name: str | None


def plan(source: End, target: End, *, split: Callable[[str], tuple[str, str]]) -> Plan:
    """docker's rules for what `cp` makes of a target. `split` takes the target's kind of path apart.

    Raises Conflict for a folder onto a file, and NotFound for a folder that is asked for with a trailing slash but missing.
    """
    if target.exists and target.is_dir:
        return Plan(target.path, None)
    if target.exists and source.is_dir:
        raise Conflict(f'cannot copy directory "{source.path}" to the file "{target.path}"')
    if not target.exists and not source.is_dir and target.path.endswith(("/", os.sep, "/.")):
        raise NotFound(f'no such directory: "{target.path}"', hint="leave the slash out to make a file of this name")
    return Plan(*split(target.path))


def pack(path: Path, name: str, *, follow: bool, keep_owners: bool) -> Iterator[bytes]:
    """A file or a folder with everything in it as a tar stream whose topmost entry is `name`."""
    with tarfile.TarFile(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT) as maker:
        for each, arcname in _walk(path.resolve() if follow else path, name):
            info: tarfile.TarInfo | None = maker.gettarinfo(each, arcname)
            if info is None:  # a socket: tar has no word for it
                continue
            if not keep_owners:
                info.uid = info.gid = 0
                info.uname = info.gname = ""
            yield info.tobuf(tarfile.PAX_FORMAT)
            if info.isreg():
                yield from _content(each, info.size)
    yield bytes(2 * _BLOCK)


def _walk(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield path, name
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(path.iterdir()):
            yield from _walk(entry, f"{name}/{entry.name}")


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes and the padding, whatever happens to the file meanwhile."""
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
    yield bytes(left + -size % _BLOCK)


def unpack(pieces: Iterable[bytes], folder: Path, *, name: str | None, keep_owners: bool) -> None:
    """Write a tar stream under a folder, its topmost entry as `name`. Nothing is written outside of the folder.

    Raises IrekoError for a stream that is no archive or that would put a file in a folder's place.
    """

    try:
        with tarfile.open(fileobj=_Pieces(pieces), mode="r|") as archive:
            # Python checks what it unpacks since 3.11.4 alone: it is checked here, and nowhere else
            archive.extraction_filter = lambda member, _: member
            members = (_placed(member, folder, name=name, keep_owners=keep_owners) for member in archive)
            archive.extractall(folder, members)  # noqa: S202 - see above
    except tarfile.TarError as error:
        raise IrekoError(f"what came is no tar archive: {error}") from error


def _placed(member: tarfile.TarInfo, folder: Path, *, name: str | None, keep_owners: bool) -> tarfile.TarInfo:
    """The member as it is unpacked: renamed, ours, harmless. Raises Conflict when it leads out of the folder."""
    placed = copy.copy(member)
    if name is not None:
        placed.name = _first_replaced(member.name, name)
        placed.linkname = _first_replaced(member.linkname, name) if member.islnk() else member.linkname
    placed.name = placed.name.lstrip("/" + os.sep)
    for path in [placed.name, *([placed.linkname] if placed.islnk() else [])]:
        _check_inside(folder, path)
    placed.mode &= 0o755
    if not keep_owners:
        placed.uid, placed.gid = _OURSELVES
        placed.uname = placed.gname = ""
    _make_room(folder / placed.name, placed)
    return placed


def _check_inside(folder: Path, path: str) -> None:
    root = folder.resolve()
    if not (root / path).resolve().is_relative_to(root):
        raise Conflict(f'the archive holds a path that leads out of its folder: "{path}"')


def _first_replaced(path: str, name: str) -> str:
    """The path with its first component, or the dot it stands on, replaced."""
    _, _, rest = path.partition("/")
    return f"{name}/{rest}" if rest else name


def _make_room(path: Path, member: tarfile.TarInfo) -> None:
    if not os.path.lexists(path):
        return
    folder = path.is_dir() and not path.is_symlink()
    if folder and not member.isdir():
        raise Conflict(f'cannot overwrite directory "{path}" with non-directory')
    if not folder and member.isdir() and not path.is_dir():
        raise Conflict(f'cannot overwrite non-directory "{path}" with directory')
    if not folder and not member.isdir():
        path.unlink()


class _Pieces(io.RawIOBase):
    """An iterable of bytes as a file that can be read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._held) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._held += piece
        size = len(self._held) if size < 0 else size
        given, self._held = self._held[:size], self._held[size:]
        return given
