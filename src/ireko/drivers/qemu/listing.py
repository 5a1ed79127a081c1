"""What a guest prints of its files, as entries."""

from __future__ import annotations

import re

from ireko.drivers.base import FileEntry

_FIELDS = r"(?P<mode>[0-9a-f]+) (?P<size>\d+) (?P<mtime>\d+) (?P<uid>\d+) (?P<gid>\d+)"
# what stat prints of one file: mode in hexadecimal, size, time of the last change, owner, group
_ENTRY = re.compile(rf"^{_FIELDS}$")
# a line of the listing: the device that holds the file, too, and its name
_LINE = re.compile(rf"^{_FIELDS} (?P<device>[0-9a-f]+) (?P<path>/.*)$")


def entries(printed: str) -> list[FileEntry]:
    """The lines of `ireko.guest.scripts.LISTING`. A name with line breaks goes on in the lines that are no entries.

    The first is the root's; what is mounted over a file or folder stands on another device, and is left out.
    """
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in printed.removesuffix("\n").split("\n"):
        if match := _LINE.match(line):
            found.append((match, [match["path"]]))
        elif found:
            found[-1][1].append(line)
    return [_entry(match, "\n".join(names), "") for match, names in found if match["device"] == found[0][0]["device"]]


def entry(path: str, printed: str) -> FileEntry:
    """What `ireko.guest.scripts.stat` prints: a line without the name, and then where a symbolic link points to."""
    line, _, target = printed.partition("\n")
    match = _ENTRY.match(line)
    if match is None:
        raise ValueError(f"not what stat prints: {line!r}")
    return _entry(match, path, target)


def _entry(match: re.Match[str], path: str, target: str) -> FileEntry:
    return FileEntry(
        path=path,
        mode=int(match["mode"], 16),
        size=int(match["size"]),
        mtime=int(match["mtime"]),
        uid=int(match["uid"]),
        gid=int(match["gid"]),
        link_target=target,
    )
