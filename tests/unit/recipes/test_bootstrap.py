"""What mmdebstrap is asked for, and when: with a stand-in for it on PATH. The real one is tried by tests/integration."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ireko.errors import ProgramFailed
from ireko.recipes.bootstrap import Narrator, Selection, bootstrap

SELECTION = Selection("bookworm", "monday", ("b", "a"), ("echo it's done",), {"/etc/x/y": "1 'two'\n"})
PROGRAM = """#!/bin/sh
for word; do echo "$word"; done > "{asked}"
for word; do case $word in *.tar) echo made > "$word" ;; esac; done
echo 'I: running apt-get update...' >&2
exit {code}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mmdebstrap runs on Linux")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what the stand-in was called with."""
    install(tmp_path, 0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "asked"


def install(folder: Path, code: int) -> None:
    program = folder / "bin/mmdebstrap"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAM.format(asked=folder / "asked", code=code))
    program.chmod(0o755)


def quiet(step: str, done: int | None, total: int | None) -> None: ...


async def test_it_is_made_once(tmp_path: Path, asked: Path) -> None:
    steps: list[str] = []
    first = await bootstrap(SELECTION, cache=tmp_path, progress=lambda step, *_: steps.append(step))
    assert first.read_text() == "made\n"
    assert steps == ["fetching the lists of packages"]
    words = asked.read_text().splitlines()
    assert "--include=a,b" in words
    assert "bookworm" in words
    assert """--setup-hook=mkdir -p "$1"/etc/x && printf %s '1 '"'"'two'"'"'""" in words
    assert """--customize-hook=chroot "$1" /bin/sh -c 'echo it'"'"'s done'""" in words
    asked.unlink()
    assert await bootstrap(replace(SELECTION, packages=("a", "b")), cache=tmp_path, progress=quiet) == first
    assert not asked.exists()


async def test_another_state_of_the_archive_takes_its_place(tmp_path: Path, asked: Path) -> None:
    first = await bootstrap(SELECTION, cache=tmp_path, progress=quiet)
    other = await bootstrap(replace(SELECTION, packages=("c",)), cache=tmp_path, progress=quiet)
    second = await bootstrap(replace(SELECTION, state="tuesday"), cache=tmp_path, progress=quiet)
    assert sorted((tmp_path / "bootstrap").iterdir()) == sorted([other, second])
    assert first != second


async def test_what_failed_leaves_nothing(tmp_path: Path, asked: Path) -> None:
    install(tmp_path, 3)
    with pytest.raises(ProgramFailed, match="mmdebstrap"):
        await bootstrap(SELECTION, cache=tmp_path, progress=quiet)
    assert not list((tmp_path / "bootstrap").iterdir())


def test_progress_counts_packages() -> None:
    told: list[tuple[str, int | None, int | None]] = []
    narrator = Narrator(lambda *each: told.append(each))
    for line in (
        "I: downloading packages with apt...",
        "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
        "Get:1 http://deb.debian.org/debian bookworm/main amd64 a amd64 1",
        "Get:2 http://deb.debian.org/debian bookworm/main amd64 b amd64 1",
        "Unpacking a (1) ...",
        "Unpacking b (1) ...",
        "Setting up a (1) ...",
        "Setting up b (1) ...",
        "I: creating tarball...",
    ):
        narrator.hear(line)
    assert told == [
        ("fetching packages", None, None),
        ("fetching packages", 1, 2),
        ("fetching packages", 2, 2),
        ("installing packages", 1, 4),
        ("installing packages", 2, 4),
        ("installing packages", 3, 4),
        ("installing packages", 4, 4),
        ("packing the root file system", None, None),
    ]
