"""A new file is named as it was asked for, belongs to whom it should, and comes by its name last."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from ireko.disk.base import Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.files import real_path
from ireko.disk.formats import open_layer
from ireko.disk.operations import commit, compact, resize, seal
from ireko.disk.output import Output
from ireko.disk.seals import intact_seal, seal_path
from ireko.errors import IrekoError, NoSpace, NotFound

from .model import ABSENT, DATA, MIB, ZERO, Content
from .stacks import add_layer

BASE = Content(1, ((0, MIB, DATA), (MIB, 2 * MIB, ABSENT)))
CHILD = Content(2, ((0, 4096, DATA), (4096, 8192, ZERO), (8192, 2 * MIB, ABSENT)))
posix = pytest.mark.skipif(sys.platform == "win32", reason="files there have no such modes")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Watched(Output):
    """Looks at the mode of the file at the moment when it gets its name."""

    mode_at_rename = -1

    def _rename(self) -> None:
        self.mode_at_rename = mode_of(self._partial)
        super()._rename()


@posix
def test_a_file_has_its_mode_before_it_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"old")
    path.chmod(0o440)
    output = Watched(path, replace=True, like=path.stat())
    partial = next(each for each in tmp_path.iterdir() if each != path)
    assert mode_of(partial) == 0o600
    output.publish()
    assert output.mode_at_rename == mode_of(path) == 0o440


@posix
@pytest.mark.parametrize(("mask", "wanted"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_disk_has_the_mode_of_any_new_file(tmp_path: Path, mask: int, wanted: int) -> None:
    before = os.umask(mask)
    try:
        add_layer(tmp_path / "disk.vhdx", BASE)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "disk.vhdx") == wanted


@posix
def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r'"[^"]*/none/disk\.raw"'):
        Output(tmp_path / "none" / "disk.raw")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    output = Output(tmp_path / "disk.raw")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(NoSpace, match=r'"[^"]*/disk\.raw"'):
            output.file.grow(MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        output.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """A disk, and a link to it from another folder."""
    (tmp_path / "store").mkdir()
    disk, link = tmp_path / "store" / "disk.qcow2", tmp_path / "link.qcow2"
    add_layer(disk, BASE)
    try:
        link.symlink_to(Path("store") / "disk.qcow2")
    except OSError:
        pytest.skip("this user may make no symbolic links")
    return disk, link


def test_a_link_stays_when_the_disk_behind_it_is_replaced(linked: tuple[Path, Path]) -> None:
    disk, link = linked
    assert real_path(link) == disk
    compact(link)
    resize(link, 4 * MIB)
    assert link.is_symlink()
    assert not disk.is_symlink()
    with open_layer(disk) as layer:
        assert layer.info.size == 4 * MIB
    assert sorted(path.name for path in disk.parent.iterdir()) == ["disk.qcow2"]


def test_a_seal_is_beside_the_disk_whatever_led_to_it(linked: tuple[Path, Path]) -> None:
    disk, link = linked
    made = seal(link)
    assert seal_path(link) == seal_path(disk) == disk.with_name("disk.qcow2.seal")
    compact(link)
    for path in linked:
        with open_layer(path) as layer:
            found = intact_seal(layer)
        assert found is not None
        assert found.chain_id == made.chain_id


def test_a_committed_disk_is_gone_with_the_link_to_it(linked: tuple[Path, Path], tmp_path: Path) -> None:
    disk, link = linked
    disk.rename(tmp_path / "base.qcow2")
    add_layer(disk, CHILD, tmp_path / "base.qcow2")
    link.unlink()
    link = disk.with_name("link.qcow2")
    link.symlink_to("disk.qcow2")
    assert commit(link, within=[tmp_path]) == disk.parent / ".." / "base.qcow2"
    assert list(disk.parent.iterdir()) == []
    with open_chain(tmp_path / "base.qcow2") as chain:
        assert list(check_chain(chain, Progress(), deep=True)) == []
        assert chain.view.read(0, 8192) == CHILD.bytes_of(0, 8192)


def test_a_link_to_nothing_gives_our_error(tmp_path: Path) -> None:
    link = tmp_path / "link.qcow2"
    link.symlink_to(link.name)
    with pytest.raises(IrekoError):
        compact(link)


@posix
def test_a_file_may_have_the_longest_name_that_there_can_be(tmp_path: Path) -> None:
    for name in ("n" * 251 + ".raw", "\u30b4" * 83 + ".raw"):
        output = Output(tmp_path / name)
        output.file.write(0, b"x")
        output.publish()
        assert (tmp_path / name).read_bytes() == b"x"
