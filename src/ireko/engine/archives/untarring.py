"""Taking a tar stream of a stranger's apart, as it comes.

Files alone are taken, under names that the caller knows; folders are passed over. Links, devices, sparse files and headers
that are longer than any that makes sense are refused, and so is everything that does not end where it says.
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import Protocol

from ireko.engine.archives.tarring import BLOCK
from ireko.errors import Damaged

_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE}
_EXTENSIONS = {tarfile.XHDTYPE, tarfile.XGLTYPE}
_LONGEST_EXTENSION = 64 << 10
_LARGEST = 1 << 62
_LONGEST_NAME = 256
_MOST_HEADERS = 1 << 16
"""Of files, folders and extensions: each costs time, and compressed it is next to nothing."""
_ZEROS = bytes(64 << 10)


class Sink(Protocol):
    """Where a file's content goes."""

    def write(self, data: memoryview) -> None:
        """The next bytes, valid during the call."""

    def close(self) -> None:
        """There is no more."""


class _Extension:
    """The content of a pax header."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: memoryview) -> None:
        self.data += data

    def close(self) -> None:
        """Nothing to do."""


class Untar:
    """`feed` it all of a stream, then `finish`. `opened` is told each file's name and length, and says where it goes.

    Both raise Damaged, which names the entry, and what the sinks raise.
    """

    def __init__(self, opened: Callable[[str, int], Sink]) -> None:
        self._opened = opened
        self._header = bytearray()
        self._sink: Sink | None = None
        self._name = ""
        self._left = 0
        self._padding = 0
        self._records: dict[str, str] = {}
        self._headers = 0
        self._ended = False

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes, any number of them."""
        view = memoryview(data)
        while view:
            view = view[self._take(view) :]

    def finish(self) -> None:
        """Raises Damaged when the stream has not come to its end."""
        if not self._ended:
            place = f'within "{self._name}"' if self._left or self._padding else f'after "{self._name}"'
            raise Damaged(f"the archive is cut off {place if self._name else 'before its first entry'}")

    def _take(self, view: memoryview) -> int:
        """Use up some of what came, and say how much."""
        if self._left:
            return self._content(view[: self._left])
        if self._padding:
            count = min(self._padding, len(view))
            self._check_zeros(view[:count])
            self._padding -= count
            return count
        if self._ended:
            self._check_zeros(view)
            return len(view)
        count = min(BLOCK - len(self._header), len(view))
        self._header += view[:count]
        if len(self._header) == BLOCK:
            block, self._header = bytes(self._header), bytearray()
            self._begin(block)
        return count

    def _content(self, view: memoryview) -> int:
        if self._sink is not None:
            self._sink.write(view)
        self._left -= len(view)
        if not self._left:
            self._close()
        return len(view)

    def _begin(self, block: bytes) -> None:
        """The header of an entry, or the end."""
        if not block.strip(b"\0"):
            self._ended = True
            return
        self._headers += 1
        if self._headers > _MOST_HEADERS:
            raise Damaged(f"the archive has more than {_MOST_HEADERS} entries")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            place = f'after "{self._name}"' if self._name else "at its beginning"
            raise Damaged(f"the archive is damaged {place}: {error}") from error
        records, self._records = self._records, {}
        name, length = _applied(records, info)
        self._name = name = printable(name)
        if not 0 <= length < _LARGEST:
            raise Damaged(f'the archive\'s entry "{name}" claims to have {length} bytes')
        self._left, self._padding = length, -length % BLOCK
        self._sink = self._choose(info.type, name, length)
        if not length:
            self._close()

    def _choose(self, kind: bytes, name: str, length: int) -> Sink | None:
        if kind in _EXTENSIONS:
            if length > _LONGEST_EXTENSION:
                raise Damaged(f'the archive\'s entry "{name}" has a header of {length} bytes')
            return _Extension() if kind == tarfile.XHDTYPE else None
        if kind == tarfile.DIRTYPE and not length:
            return None
        if kind not in _FILES:
            raise Damaged(f'the archive\'s entry "{name}" is no file: its type is {kind.decode("latin-1")!r}')
        return self._opened(name.removeprefix("./"), length)

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if isinstance(sink, _Extension):
            self._records = _records(bytes(sink.data), self._name)
        elif sink is not None:
            sink.close()

    def _check_zeros(self, view: memoryview) -> None:
        for start in range(0, len(view), len(_ZEROS)):
            piece = bytes(view[start : start + len(_ZEROS)])
            if piece != _ZEROS[: len(piece)]:
                place = "its end" if self._ended else f'"{self._name}"'
                raise Damaged(f"the archive has something behind {place}, where nothing may be")


def printable(name: str) -> str:
    """A stranger's name, fit to be shown."""
    return "".join(each if each.isprintable() else "?" for each in name[:_LONGEST_NAME])


def _applied(records: dict[str, str], info: tarfile.TarInfo) -> tuple[str, int]:
    """An entry's name and length, with those of its pax header."""
    name = records.get("path", info.name)
    if any(key.startswith("GNU.sparse.") for key in records):
        raise Damaged(f'the archive\'s entry "{name}" is a sparse file', hint="pack it without tar's --sparse")
    try:
        return name, int(records["size"]) if "size" in records else info.size
    except ValueError as error:
        raise Damaged(f'the archive\'s entry "{name}" claims to have "{records["size"]}" bytes') from error


def _records(data: bytes, name: str) -> dict[str, str]:
    """What a pax header says: lines of a length in decimal, a space, a key, `=`, a value."""
    found: dict[str, str] = {}
    try:
        while data:
            digits = data.partition(b" ")[0]
            length = int(digits)
            if not len(digits) + 2 < length <= len(data) or data[length - 1 : length] != b"\n":
                raise ValueError(f"a line has {length} bytes")
            key, _, value = data[len(digits) + 1 : length - 1].decode().partition("=")
            found[key], data = value, data[length:]
    except ValueError as error:
        raise Damaged(f"the archive's pax header \"{name}\" can't be read: {error}") from error
    return found
