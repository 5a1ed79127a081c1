"""The toy guest reads the seed that the engine writes (docs/guest-interface.md)."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.drivers.fake import seed
from ireko.guest.identity import Identity
from ireko.guest.seed import Main, Seed, SeedMount

IDENTITY = Identity.create()
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
LINE = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs", "Zl", "Zp", "Cc"]), max_size=20)
NAMES = st.text(st.characters(exclude_characters="\0=", exclude_categories=["Cs"]), min_size=1, max_size=9)


def write(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def written(folder: Path, main: Main | None, *mounts: SeedMount) -> Path:
    path = folder / "seed.tar"
    path.write_bytes(Seed("box", "0" * 32, IDENTITY, "tty", main, mounts=mounts).archive())
    return path


@settings(deadline=None)
@given(
    argv=st.lists(TEXT, min_size=1, max_size=4),
    environment=st.dictionaries(NAMES, TEXT, max_size=4),
    workdir=LINE,
    user=LINE,
)
def test_whatever_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, argv: list[str], environment: dict[str, str], workdir: str, user: str
) -> None:
    main = Main(argv, [f"{name}={value}" for name, value in environment.items()], workdir, user)
    found = seed.read(written(tmp_path_factory.mktemp("seed"), main)).command
    assert found == seed.Command(tuple(argv), environment, workdir, user)


def test_a_whole_seed(tmp_path: Path) -> None:
    mounts = SeedMount("vol-0", "/data"), SeedMount("vol-1", "/a b", read_only=True)
    found = seed.read(written(tmp_path, Main(["/bin/echo", "a b"]), *mounts))
    assert (found.hostname, found.stdio) == ("box", "tty")
    assert found.mounts == (
        seed.SeedMount("vol-0", "/data", read_only=False),
        seed.SeedMount("vol-1", "/a b", read_only=True),
    )


def test_without_a_command_a_system_runs(tmp_path: Path) -> None:
    assert seed.read(written(tmp_path, None)).command is None


def test_a_seed_that_is_missing_or_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "seed.tar"
    with pytest.raises(seed.NoSeed, match="seed"):
        seed.read(path)
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(seed.NoSeed, match="seed"):
        seed.read(path)


def test_a_seed_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(seed.NoSeed):
        seed.read(write(tmp_path / "seed.tar", {"mounts": "vol-0"}))
