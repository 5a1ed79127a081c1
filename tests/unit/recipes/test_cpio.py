"""Archives are what the kernel's documentation says, read back by a reader that is as plain as can be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ireko.recipes.cpio import Cpio

NAMES = st.text(st.characters(exclude_characters="\0/.", exclude_categories=["Cs"]), min_size=1, max_size=8)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@dataclass
class Member:
    mode: int
    data: bytes
    device: tuple[int, int]


def members(archive: bytes) -> Iterator[tuple[str, Member]]:
    offset = 0
    while True:
        assert archive[offset : offset + 6] == b"070701"
        fields = [int(archive[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        start = offset + 110
        name = archive[start : start + fields[11] - 1].decode()
        start += fields[11] + -(110 + fields[11]) % 4
        if name == "TRAILER!!!":
            assert len(archive) % 512 == 0
            return
        yield name, Member(fields[1], archive[start : start + fields[6]], (fields[9], fields[10]))
        offset = start + fields[6] + -fields[6] % 4


@given(st.dictionaries(PATHS, st.binary(max_size=20), max_size=6))
def test_files_are_read_back_and_their_folders_come_first(files: dict[str, bytes]) -> None:
    cpio = Cpio()
    for path, data in files.items():
        cpio.file(path, data, 0o640)
    seen: set[str] = set()
    found = {}
    for name, member in members(cpio.finish()):
        assert "/" not in name or name.rpartition("/")[0] in seen
        if stat.S_ISDIR(member.mode):
            assert name not in seen
        seen.add(name)
        if stat.S_ISREG(member.mode):
            found[name] = member.data
    assert found == files


def test_links_devices_and_modes() -> None:
    cpio = Cpio()
    cpio.folder("root", 0o700)
    cpio.link("bin/sh", "busybox")
    cpio.character_device("dev/console", major=5, minor=1)
    found = dict(members(cpio.finish()))
    assert stat.S_IMODE(found["root"].mode) == 0o700
    assert (stat.S_ISLNK(found["bin/sh"].mode), found["bin/sh"].data) == (True, b"busybox")
    assert (stat.S_ISCHR(found["dev/console"].mode), found["dev/console"].device) == (True, (5, 1))
