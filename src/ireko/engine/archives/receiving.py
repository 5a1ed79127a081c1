"""Taking an archive in: unpacked into a folder under names of ours, and held to its own checksums before anything is believed."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.base import Progress as Steps
from ireko.disk.errors import told
from ireko.disk.files import DiskFile
from ireko.engine.archives import manifest
from ireko.engine.archives.manifest import Manifest, StoredFile
from ireko.engine.archives.tarring import BLOCK
from ireko.engine.archives.unpacking import MARK_LENGTH, Unpacker, is_compressed, unpacker
from ireko.engine.archives.untarring import Sink, Untar
from ireko.errors import Damaged, InvalidInput, Unsupported

_ENTRIES = 16384
_UNPACK = "a disk that is compressed, or in an archive such as an .ova file, is unpacked first and then imported"
_MANIFEST_LARGEST = 16 << 20
_SMALL_LARGEST = 4096
_ZEROS = bytes(64 << 10)
_DOCKER = ("blobs", "oci-layout", "index.json", "manifest.json", "repositories", "version")
"""What the archives of container images begin with, besides what is named by a digest."""
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Received:
    """A whole archive: its manifest, and where each file of it is now."""

    manifest: Manifest
    paths: dict[str, Path]


def is_archive(path: Path) -> bool:
    """Whether there is a tar archive, or what may be a compressed one: ours, or one of which the receiver says why it is not.

    Raises Denied.
    """
    with told(path):
        if not path.is_absolute() or not path.is_file():
            return False
    with DiskFile(path) as file:
        block = file.read(0, BLOCK)
    if is_compressed(block):
        return True
    try:
        return bool(tarfile.TarInfo.frombuf(block, "utf-8", "replace").name)
    except tarfile.HeaderError:
        return False


class Receiver:
    """`feed` it all of a stream, then `finish`. Both block, and raise Damaged, InvalidInput, Unsupported, NoSpace.

    They stop when `steps` are cancelled: little that came may stand for much.
    """

    def __init__(self, folder: Path, steps: Steps) -> None:
        self._folder = folder
        self._steps = steps
        self._paths: dict[str, Path] = {}
        self._files: dict[str, StoredFile] = {}
        self._texts: dict[str, bytes] = {}
        self._untar = Untar(self._open)
        self._unpacker: Unpacker | None = None
        self._begin = bytearray()
        self._half: _File | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        if self._unpacker is None:
            self._begin += data
            if len(self._begin) < MARK_LENGTH:
                return
            data = bytes(self._begin)
            self._unpacker = unpacker(data, self._take)
        try:
            self._unpacker.feed(data)
        except Damaged as error:
            if self._texts:
                raise
            raise InvalidInput(f"this is no archive of images: {error.message}", hint=_UNPACK) from error

    def _take(self, piece: bytes) -> None:
        self._steps.advance(0)
        self._untar.feed(piece)

    def close(self) -> None:
        """Let go of the file that is being written. May be repeated."""
        if self._half is not None:
            self._half.abandon()

    def finish(self) -> Received:
        """Everything, once it is all there and as the manifest says."""
        self._untar.finish()
        text, sums = self._text(manifest.MANIFEST), self._text(manifest.SUMS)
        digests = {
            name: hashlib.sha256(data).hexdigest() for name, data in self._texts.items() if name != manifest.SUMS
        }
        for name, digest in digests.items():
            if manifest.sums({name: digest}) not in sums.splitlines(keepends=True):
                raise Damaged(f'the archive\'s "{name}" is damaged: "{manifest.SUMS}" has another checksum for it')
        found = manifest.decode(text)
        for file in found.files():
            self._check(file)
        wanted = {file.name for file in found.files()}
        for name in self._files:
            if name not in wanted:
                raise Damaged(f'the archive has "{name}", of which its manifest knows nothing')
        if sums != manifest.sums({**digests, **{file.name: file.sha256 for file in found.files()}}):
            raise Damaged(f'the archive\'s "{manifest.SUMS}" is damaged: it is not what its other entries are')
        return Received(found, self._paths)

    def _text(self, name: str) -> bytes:
        if name not in self._texts:
            raise Damaged(f'the archive has no "{name}"')
        return self._texts[name]

    def _check(self, wanted: StoredFile) -> None:
        found = self._files.get(wanted.name)
        if found is None:
            raise Damaged(f'the archive has no "{wanted.name}"')
        for noun, here, there in (
            ("length", found.length, wanted.length),
            ("checksum", found.sha256, wanted.sha256),
        ):
            if here != there:
                raise Damaged(f'the archive\'s "{wanted.name}" is damaged: its {noun} is {here}, it must be {there}')

    def _open(self, name: str, length: int) -> Sink:
        if not self._texts and name != manifest.MARK:
            raise _strange(name)
        if not manifest.ENTRY.fullmatch(name):
            raise Damaged(f'the archive has an entry "{name}", which no archive of images has')
        if name in self._files or name in self._texts:
            raise Damaged(f'the archive has "{name}" twice')
        if len(self._files) >= _ENTRIES:
            raise Damaged(f"the archive has more than {_ENTRIES} entries")
        if "/" not in name:
            return self._open_text(name, length)
        self._paths[name] = path = self._folder / f"part-{len(self._files)}"
        self._files[name] = StoredFile(name, length, "")
        self._half = _File(path, length, lambda sha256: self._files.update({name: StoredFile(name, length, sha256)}))
        return self._half

    def _open_text(self, name: str, length: int) -> Sink:
        largest = _SMALL_LARGEST if name == manifest.MARK else _MANIFEST_LARGEST
        if length > largest:
            raise Damaged(f'the archive\'s "{name}" has {length} bytes, it may have {largest}')
        return _Text(lambda data: self._close_text(name, data))

    def _close_text(self, name: str, data: bytes) -> None:
        if name == manifest.MARK:
            manifest.check_mark(data)
        self._texts[name] = data


def _strange(name: str) -> InvalidInput | Unsupported:
    """The first entry is not the mark."""
    first = name.partition("/")[0]
    if first in _DOCKER or _HEX.match(first):
        return Unsupported(
            "this is an archive of container images: they hold files and no machine's disk, and can't be used yet",
            hint="ireko image recipes",
        )
    found = f'it begins with "{name}", it must begin with "{manifest.MARK}"'
    return InvalidInput(f"this is no archive of images: {found}", hint=_UNPACK)


class _Text:
    """Content that is kept in memory."""

    def __init__(self, done: Callable[[bytes], None]) -> None:
        self._done = done
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        self._data += data

    def close(self) -> None:
        self._done(bytes(self._data))


class _File:
    """Content that goes into a file, zeros as holes; `done` is told its checksum."""

    def __init__(self, path: Path, length: int, done: Callable[[str], None]) -> None:
        self._file = DiskFile(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._length = length
        self._done = done
        self._digest = hashlib.sha256()
        self._place = 0

    def write(self, data: memoryview) -> None:
        self._digest.update(data)
        for start in range(0, len(data), len(_ZEROS)):
            piece = bytes(data[start : start + len(_ZEROS)])  # which is compared hundreds of times as fast
            if piece != _ZEROS[: len(piece)]:
                self._file.write(self._place + start, piece)
        self._place += len(data)

    def abandon(self) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.grow(self._length)
        self._file.close()
        self._done(self._digest.hexdigest())
