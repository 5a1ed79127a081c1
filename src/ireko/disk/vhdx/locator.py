"""The parent locator of a VHDX file (MS-VHDX 2.6.2.6): where a differencing disk says its parent is.

Read leniently, written as Windows does: these keys in this order, GUIDs in lower case and braces, `parent_linkage2` all zeros
although the specification would have it left out.
"""

from __future__ import annotations

import struct
from uuid import UUID

from ireko.disk.base import ParentReference, PathKind, RecordedPath
from ireko.disk.reference import windows_text
from ireko.disk.vhdx.structures import LOCATOR_TYPE, NIL
from ireko.errors import InvalidInput

_HEAD = struct.Struct("<16sHH")
_ENTRY = struct.Struct("<IIHH")

_ENTRIES_MAXIMUM = 256
"""Windows writes five; texts may overlap, so that a small locator could stand for very much."""

LINKAGE, LINKAGE_2 = "parent_linkage", "parent_linkage2"
# the order in which the specification has them tried
_PATHS = {
    "relative_path": PathKind.RELATIVE,
    "volume_path": PathKind.VOLUME,
    "absolute_win32_path": PathKind.ABSOLUTE,
}


def unpack_locator(data: bytes) -> dict[str, str]:
    """The locator's keys and values. Raises ValueError with what was found and what is wanted."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes long, it must be {_HEAD.size} or more")
    kind, _, count = _HEAD.unpack_from(data)
    if kind != LOCATOR_TYPE.bytes_le:
        raise ValueError(f"of the type {UUID(bytes_le=kind)}, it must be of VHDX's own, {LOCATOR_TYPE}")
    if _HEAD.size + count * _ENTRY.size > len(data):
        raise ValueError(f"with {count} entries, it must be one with as many as its {len(data)} bytes hold")
    if count > _ENTRIES_MAXIMUM:
        raise ValueError(f"with {count} entries, it must be one with {_ENTRIES_MAXIMUM} or less")
    found: dict[str, str] = {}
    for entry in _ENTRY.iter_unpack(data[_HEAD.size : _HEAD.size + count * _ENTRY.size]):
        key_offset, value_offset, key_length, value_length = entry
        key = _text(data, key_offset, key_length)
        if key in found:
            raise ValueError(f'with two entries "{key}", it must be one with each once')
        found[key] = _text(data, value_offset, value_length)
    return found


def reference(entries: dict[str, str]) -> ParentReference:
    """What the entries say of the parent. Raises ValueError when the identity is missing, or no GUID."""
    linkages = [_guid(key, entries[key]) for key in (LINKAGE, LINKAGE_2) if key in entries]
    if LINKAGE not in entries:
        raise ValueError(f'without the entry "{LINKAGE}", it must be one with it')
    paths = tuple(RecordedPath(kind, entries[key], windows=True) for key, kind in _PATHS.items() if key in entries)
    identities = tuple(str(each) for each in linkages if each != NIL)
    return ParentReference(paths, identities, format="vhdx")


def pack_locator(parent: ParentReference) -> bytes:
    """A locator as Windows writes it. Raises InvalidInput when something is missing that it must have."""
    paths = {each.kind: text for each in parent.paths if (text := windows_text(each))}
    if not parent.identities:
        form = f"a {parent.format} disk" if parent.format else "one"
        raise InvalidInput(f"a VHDX disk stands on VHDX or VHD, its parent is {form} that records no identity")
    if not paths:
        raise InvalidInput("a VHDX disk's parent needs a path that Windows can read; this one has none")
    names = {kind: key for key, kind in _PATHS.items()}
    entries = {LINKAGE: f"{{{parent.identities[0]}}}"}
    for kind in (PathKind.ABSOLUTE, PathKind.RELATIVE, PathKind.VOLUME):
        if kind in paths:
            entries[names[kind]] = paths[kind]
    entries[LINKAGE_2] = f"{{{NIL}}}"
    return _pack_entries(entries)


def _pack_entries(entries: dict[str, str]) -> bytes:
    table, texts = b"", b""
    start = _HEAD.size + len(entries) * _ENTRY.size
    for key, value in entries.items():
        key_bytes, value_bytes = (each.encode("utf-16-le") for each in (key, value))
        if len(value_bytes) >= 1 << 16:
            raise InvalidInput(f'the parent\'s "{key}" has {len(value)} characters; VHDX has room for 32767')
        offset = start + len(texts)
        table += _ENTRY.pack(offset, offset + len(key_bytes), len(key_bytes), len(value_bytes))
        texts += key_bytes + value_bytes
    return _HEAD.pack(LOCATOR_TYPE.bytes_le, 0, len(entries)) + table + texts


def _text(data: bytes, offset: int, length: int) -> str:
    if not length or offset < _HEAD.size or offset + length > len(data):
        raise ValueError(
            f"with a text of {length} bytes at {offset}, it must be one with its texts in its {len(data)} bytes"
        )
    try:
        return data[offset : offset + length].decode("utf-16-le").rstrip("\0")
    except UnicodeDecodeError as error:
        raise ValueError(f"with a text at {offset} that is no UTF-16, it must be one whose texts are") from error


def _guid(key: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise ValueError(f'with "{key}" {text!r}, it must be one with a GUID there') from error
