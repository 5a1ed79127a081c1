"""What a differencing VHD file records of its parent, in the places where Windows has it: docs/disk/vhd-writer.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from ireko.disk.base import ParentReference, PathKind
from ireko.disk.reference import windows_text
from ireko.disk.vhd.structures import ABSOLUTE_LOCATOR, NAME_LENGTH, RELATIVE_LOCATOR, Locator
from ireko.errors import InvalidInput

TABLE_OFFSET = 8192
"""Where the BAT of a differencing disk begins: between the two paths."""
_ABSOLUTE_OFFSET, _ABSOLUTE_ROOM = 4096, 4096
_RELATIVE_ROOM = 1 << 16


@dataclass(frozen=True)
class Record:
    """The parent as it is recorded: `texts` are what the locators lead to, `end` is where the file may go on."""

    parent_id: UUID
    name: str
    locators: tuple[Locator, ...]
    texts: tuple[bytes, ...]
    end: int

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """The texts, and where they go."""
        for locator, text in zip(self.locators, self.texts, strict=True):
            yield locator.offset, text


def record_of(parent: ParentReference, table_length: int) -> Record:
    """What to record of a parent, around a BAT of so many bytes. Raises InvalidInput when it can't be recorded."""
    if parent.format not in {"vhd", ""}:
        raise InvalidInput(f"the parent of a VHD disk must be one too, this one is {parent.format}")
    paths = {each.kind: text for each in parent.paths if (text := windows_text(each))}
    absolute, relative = paths.get(PathKind.ABSOLUTE, ""), paths.get(PathKind.RELATIVE, "")
    if not parent.identities or not (absolute or relative):
        raise InvalidInput("a VHD disk's parent needs an identity and a path that Windows can read; this one lacks one")
    after = TABLE_OFFSET + table_length
    wanted = [
        (ABSOLUTE_LOCATOR, absolute, _ABSOLUTE_OFFSET, _ABSOLUTE_ROOM),
        (RELATIVE_LOCATOR, relative, after, _RELATIVE_ROOM),
    ]
    found = [(code, _text(text, room), offset, room) for code, text, offset, room in wanted if text]
    return Record(
        parent_id=_identity(parent.identities[0]),
        name=_name(absolute, relative),
        locators=tuple(Locator(code, len(text), offset, room) for code, text, offset, room in found),
        texts=tuple(text for _, text, _, _ in found),
        end=after + _RELATIVE_ROOM,
    )


def _text(path: str, room: int) -> bytes:
    data = path.encode("utf-16-le")
    if len(data) > room:
        raise InvalidInput(f"the parent's path has {len(path)} characters; VHD has room for {room // 2}")
    return data


def _name(absolute: str, relative: str) -> str:
    """The whole path, as Windows has it, or what fits of it: the name."""
    name = relative.rpartition("\\")[2] or absolute.rpartition("\\")[2]
    fitting = [text for text in (absolute, name) if text and len(text.encode("utf-16-be")) <= NAME_LENGTH]
    return fitting[0] if fitting else ""


def _identity(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput(f'the parent\'s identity "{text}" is no UUID') from error
