"""What a guest prints of its files is read whole, whatever their names are."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("the QEMU driver is for Linux", allow_module_level=True)

from ireko.drivers.qemu import listing

NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(NAMES, unique=True, max_size=6))
def test_every_name_is_read_back(names: list[str]) -> None:
    lines = ["41ed 4096 5 0 0 fe00 /", *(f"81a4 {n} 7 1000 100 fe00 /{name}" for n, name in enumerate(names))]
    root, *found = listing.entries("\n".join(lines) + "\n")
    assert (root.path, root.mode) == ("/", 0o40755)
    assert [(each.path, each.size, each.mtime, each.uid, each.gid) for each in found] == [
        (f"/{name}", n, 7, 1000, 100) for n, name in enumerate(names)
    ]


def test_what_is_mounted_is_left_out() -> None:
    printed = "41ed 1 5 0 0 fe00 /\n41ed 1 5 0 0 5 /dev\n81a4 3 5 0 0 18 /etc/hostname\n81a4 3 5 0 0 fe00 /etc/passwd\n"
    assert [each.path for each in listing.entries(printed)] == ["/", "/etc/passwd"]


def test_an_empty_answer_is_no_file() -> None:
    assert listing.entries("") == []


def test_one_file_with_the_target_of_a_link() -> None:
    found = listing.entry("/bin", "a1ff 7 5 0 0\nusr/bin")
    assert (found.path, found.link_target, found.size) == ("/bin", "usr/bin", 7)
    with pytest.raises(ValueError, match="not what stat prints"):
        listing.entry("/bin", "stat: no such file")
