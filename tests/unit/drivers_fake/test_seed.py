"""The toy guest reads what docs/guest-interface.md says a guest reads."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.drivers.fake import seed

EXAMPLE = """\
workdir='/srv'
user='1000:1000'
set -- '/bin/echo' 'a b'
environment='export '\\''NAME=value'\\''
export '\\''OTHER=two words'\\''
'
"""
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[A-Za-z_]\w{0,9}", fullmatch=True)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def write(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_page_s_example() -> None:
    assert seed.parse_command(EXAMPLE) == seed.Command(
        ("/bin/echo", "a b"), {"NAME": "value", "OTHER": "two words"}, "/srv", "1000:1000"
    )


@given(argv=st.lists(TEXT, min_size=1, max_size=4), environment=st.dictionaries(NAMES, TEXT, max_size=4), workdir=TEXT)
def test_whatever_is_quoted_is_read_back(argv: list[str], environment: dict[str, str], workdir: str) -> None:
    exports = "".join(f"export {quoted(f'{name}={value}')}\n" for name, value in environment.items())
    script = (
        f"workdir={quoted(workdir)}\nuser={quoted('')}\n"
        f"set -- {' '.join(map(quoted, argv))}\nenvironment={quoted(exports)}\n"
    )
    assert seed.parse_command(script) == seed.Command(tuple(argv), environment, workdir, "")


def test_a_whole_seed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "seed.tar",
        {"hostname": "box\n", "stdio": "tty\n", "command": EXAMPLE, "mounts": "vol-0\t/data\trw\nvol-1\t/a b\tro\n"},
    )
    found = seed.read(path)
    assert (found.hostname, found.stdio) == ("box", "tty")
    assert found.command == seed.parse_command(EXAMPLE)
    assert found.mounts == (
        seed.SeedMount("vol-0", "/data", read_only=False),
        seed.SeedMount("vol-1", "/a b", read_only=True),
    )


def test_without_a_command_a_system_runs(tmp_path: Path) -> None:
    assert seed.read(write(tmp_path / "seed.tar", {"hostname": "box"})).command is None


@pytest.mark.parametrize("command", ["set -- $HOME", "if true; then set -- a; fi", "set -- 'open"])
def test_a_command_that_is_more_than_settings_is_refused(tmp_path: Path, command: str) -> None:
    with pytest.raises(seed.NoSeed):
        seed.read(write(tmp_path / "seed.tar", {"command": command}))


def test_a_seed_that_is_missing_or_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "seed.tar"
    with pytest.raises(seed.NoSeed, match="seed"):
        seed.read(path)
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(seed.NoSeed, match="seed"):
        seed.read(path)
