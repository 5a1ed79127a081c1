"""A chain shows what its layers make together, and is refused when a link is not what it was."""

from __future__ import annotations

import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.chain import LONGEST, chain_ids, check_chain, follow_chain, open_chain
from ireko.disk.formats import create_layer, open_layer
from ireko.disk.links import ChainBroken
from ireko.disk.operations import seal
from ireko.disk.reference import reference_to
from ireko.errors import Damaged, IrekoError, NotFound, Unsupported

from .model import ABSENT, DATA, MIB, Content, pattern
from .stacks import Stack, add_layer, stacks

BASE = Content(1, ((0, 64 << 10, DATA), (64 << 10, MIB, ABSENT)))
CHILD = Content(2, ((0, 4096, ABSENT), (4096, 8192, DATA), (8192, MIB, ABSENT)))


def small(folder: Path, *formats: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return Stack(formats, (BASE, *[CHILD] * (len(formats) - 1))).write(folder)


@settings(max_examples=60, deadline=None)
@given(stacks(), st.data())
def test_a_chain_shows_what_its_layers_make(stack: Stack, data: st.DataObject) -> None:
    shown = stack.shown()
    with TemporaryDirectory() as folder, open_chain(stack.write(Path(folder))[-1]) as chain:
        assert chain.view.read(0, stack.size) == shown
        place = 0
        for extent in chain.view.extents():
            assert extent.offset == place
            place = extent.end
            if extent.kind.value == "zero":
                assert not any(shown[extent.offset : extent.end])
        assert place == stack.size
        start = data.draw(st.integers(0, stack.size))
        end = data.draw(st.integers(start, min(stack.size, start + 70000)))
        assert chain.view.read(start, end - start) == shown[start:end]
        assert list(check_chain(chain, Progress(), deep=True)) == []


def test_a_stream_reads_and_seeks(tmp_path: Path) -> None:
    with open_chain(small(tmp_path, "raw", "qcow2")[-1]) as chain:
        whole = chain.view.read(0, MIB)
        with io.BufferedReader(chain.view.stream()) as stream:
            assert stream.read() == whole
            assert stream.seek(-100, os.SEEK_END) == MIB - 100
            assert stream.read(200) == whole[-100:]
            stream.seek(5000)
            stream.seek(10, os.SEEK_CUR)
            assert stream.read(20) == whole[5010:5030]
            assert stream.seek(2 * MIB) == 2 * MIB
            assert stream.read(1) == b""
        with pytest.raises(ValueError, match="counted from 9"):
            chain.view.stream().seek(0, 9)


def test_a_smaller_parent_is_zeros_behind_its_end(tmp_path: Path) -> None:
    base, middle, leaf = (tmp_path / name for name in ("0.raw", "1.qcow2", "2.qcow2"))
    add_layer(base, Content(1, ((0, MIB, DATA),)))
    for path, size, parent in ((middle, MIB // 2, base), (leaf, 2 * MIB, middle)):
        with open_layer(parent) as layer:
            reference = reference_to(layer.info, path)
        with create_layer(path, NewLayer(size, Allocation.DIFFERENCING, parent=reference)) as writer:
            writer.finish()
    with open_chain(leaf) as chain:
        assert chain.view.read(0, 2 * MIB) == base.read_bytes()[: MIB // 2] + bytes(3 * MIB // 2)


def test_a_parent_outside_is_not_touched(tmp_path: Path) -> None:
    base = small(tmp_path / "other", "raw")[0]
    leaf = tmp_path / "mine" / "leaf.qcow2"
    leaf.parent.mkdir()
    add_layer(leaf, CHILD, base)
    with pytest.raises(ChainBroken, match="inside"):
        open_chain(leaf)
    with open_chain(leaf, within=[tmp_path]) as chain:
        assert len(chain.layers) == 2
    (leaf.parent / "link").symlink_to(tmp_path / "other")
    relinked = leaf.parent / "linked.qcow2"
    add_layer(relinked, CHILD, leaf.parent / "link" / "0.raw")
    with pytest.raises(ChainBroken, match="inside"):
        open_chain(relinked)


def test_a_moved_parent_with_an_identity_is_found_by_its_name(tmp_path: Path) -> None:
    base, leaf = small(tmp_path, "vhdx", "vhdx")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    base.rename(folder / base.name)
    with pytest.raises(ChainBroken, match="missing"):
        open_chain(leaf)
    with open_chain(leaf, within=[tmp_path, folder]) as chain:
        assert chain.base.info.path == folder / base.name


def test_another_parent_is_refused(tmp_path: Path) -> None:
    base, leaf = small(tmp_path, "vhdx", "vhdx")
    base.unlink()
    add_layer(base, BASE)
    with pytest.raises(ChainBroken, match="identity"):
        open_chain(leaf)


def test_a_broken_chain_is_followed_as_far_as_it_holds(tmp_path: Path) -> None:
    base, middle, leaf = small(tmp_path, "vhdx", "vhdx", "qcow2")
    base.unlink()
    chain, error = follow_chain(leaf)
    with chain:
        assert [layer.info.path for layer in chain.layers] == [leaf, middle]
        assert chain.view.read(4096, 4096) == CHILD.bytes_of(4096, 8192)
    assert isinstance(error, ChainBroken)
    assert error.path == middle
    leaf.unlink()
    with pytest.raises(NotFound):
        follow_chain(leaf)


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.qcow2", tmp_path / "b.qcow2"]
    for path, other in zip(paths, reversed(paths), strict=True):
        reference = ParentReference((RecordedPath(PathKind.RELATIVE, other.name),), format="qcow2")
        with create_layer(path, NewLayer(MIB, Allocation.DIFFERENCING, parent=reference)) as writer:
            writer.finish()
    with pytest.raises(ChainBroken, match="stands on this one"):
        open_chain(paths[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [("/etc/hostname", "raw"), ("../../etc/hostname", "raw"), ("base.raw", "luks"), ("..", "raw"), (".", "")],
)
def test_hostile_names_give_our_errors(tmp_path: Path, text: str, name: str) -> None:
    leaf = tmp_path / "leaf.qcow2"
    (tmp_path / "base.raw").write_bytes(bytes(MIB))
    kind = PathKind.ABSOLUTE if text.startswith("/") else PathKind.RELATIVE
    reference = ParentReference((RecordedPath(kind, text),), format=name)
    with create_layer(leaf, NewLayer(MIB, Allocation.DIFFERENCING, parent=reference)) as writer:
        writer.finish()
    with pytest.raises((ChainBroken, Unsupported)):
        open_chain(leaf)


def test_seals_tell_of_changes(tmp_path: Path) -> None:
    base, leaf = small(tmp_path, "qcow2", "qcow2")
    first = seal(base)
    second = seal(leaf)
    assert second.parent_chain_id == first.chain_id
    assert base.stat().st_mode & 0o222 == 0
    with open_chain(leaf) as chain:
        assert list(check_chain(chain, Progress(), deep=True)) == []
    os.utime(base, ns=(1, 1))
    with pytest.raises(Damaged, match="sealed"):
        open_chain(leaf)
    assert seal(base).chain_id == first.chain_id
    with open_chain(leaf) as chain:
        assert len(chain.layers) == 2
    damage(base)
    with open_chain(leaf) as chain:
        found = [str(problem) for _, problem in check_chain(chain, Progress(), deep=True)]
    assert "when it was sealed" in found[0]


def test_a_seal_is_for_the_format_that_it_was_made_for(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    with create_layer(path, NewLayer(MIB)) as writer:
        writer.write_data(0, b"x" * 4096)
        writer.finish()
    sealed = seal(path)
    with open_chain(path, format_name="raw") as chain:
        ((own, _),) = chain_ids(chain.layers, Progress())
        assert own != sealed.diff_id
        assert list(check_chain(chain, Progress(), deep=True)) == []


def test_copies_that_lost_their_times_are_sealed_again(tmp_path: Path) -> None:
    paths = small(tmp_path, "qcow2", "qcow2")
    before = [seal(path) for path in paths]
    for path in paths:
        os.utime(path, ns=(5, 5))
    assert [seal(path).chain_id for path in paths] == [each.chain_id for each in before]
    with open_chain(paths[-1]) as chain:
        assert list(check_chain(chain, Progress(), deep=True)) == []


def damage(path: Path) -> None:
    """Change one byte of data, but not the time."""
    before = path.stat()
    with open_layer(path) as layer:
        place = next(each.file_offset for each in layer.extents() if each.file_offset)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xee")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"diff_id": 1}', b"\xff", b"[" * 60000])
def test_a_broken_seal_gives_our_error(tmp_path: Path, text: bytes) -> None:
    base, leaf = small(tmp_path, "raw", "qcow2")
    (tmp_path / (base.name + ".seal")).write_bytes(text)
    with pytest.raises(IrekoError, match="seal"):
        open_chain(leaf)


def test_a_chain_of_a_hundred_layers_is_quick(tmp_path: Path) -> None:
    stack = Stack(("vhdx",) * 100, (BASE, *[CHILD] * 99))
    with open_chain(stack.write(tmp_path)[-1]) as chain:
        assert len(chain.layers) == 100
        assert chain.view.read(0, MIB) == stack.shown()


@pytest.mark.parametrize(("count", "fits"), [(LONGEST, True), (LONGEST + 1, False), (1000, False)])
def test_a_chain_has_an_end(tmp_path: Path, count: int, fits: bool) -> None:
    """Whatever it is, all its files are closed afterwards."""
    reference = ParentReference((RecordedPath(PathKind.RELATIVE, "0000.qcow2"),), format="qcow2")
    add_layer(tmp_path / "0000.qcow2", Content(1, ((0, MIB, DATA),)))
    with create_layer(tmp_path / "0001.qcow2", NewLayer(MIB, Allocation.DIFFERENCING, parent=reference)) as writer:
        writer.finish()
    child = (tmp_path / "0001.qcow2").read_bytes()
    for number in range(2, count):
        below = f"{number - 1:04}.qcow2".encode()
        (tmp_path / f"{number:04}.qcow2").write_bytes(child.replace(b"0000.qcow2", below))
    leaf = tmp_path / f"{count - 1:04}.qcow2"
    if fits:
        with open_chain(leaf) as chain:
            assert len(chain.layers) == count
            assert chain.view.read(0, 512) == pattern(1, 0, 512)
    else:
        with pytest.raises(ChainBroken, match=f"more than {LONGEST} layers"):
            open_chain(leaf)
    assert open_below(tmp_path) == []


def open_below(folder: Path) -> list[str]:
    """The files in a folder that this process has open, where the system tells."""
    numbers = Path("/proc/self/fd")
    if not numbers.is_dir():
        return []
    links = [os.path.realpath(each) for each in numbers.iterdir()]
    return [each for each in links if each.startswith(f"{folder}/")]
