"""What is done with disks keeps what they show; what is interrupted leaves everything as it was."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer, ParentReference, PathKind, Progress, RecordedPath
from ireko.disk.chain import chain_ids, check_chain, open_chain
from ireko.disk.delta import diff_id, identity_of
from ireko.disk.errors import Cancelled
from ireko.disk.formats import create_layer, described, open_layer
from ireko.disk.links import ChainBroken
from ireko.disk.operations import commit, compact, convert_layer, flatten, rebase, repair, resize, seal
from ireko.disk.transfer import transfer
from ireko.disk.view import View
from ireko.errors import AlreadyThere, Conflict, InvalidInput, IrekoError, NoSpace

from .model import ABSENT, DATA, MIB, ZERO, Content, contents
from .stacks import BORDERS, Stack, add_layer, stacks

BASE = Content(
    1, ((0, 1 << 19, DATA), (1 << 19, MIB, ABSENT), (MIB, MIB + (1 << 18), DATA), (MIB + (1 << 18), 2 * MIB, ABSENT))
)
CHILD = Content(
    2,
    (
        (0, 4096, ABSENT),
        (4096, 8192 + 512, DATA),
        (8704, 1 << 18, ABSENT),
        (1 << 18, 1 << 19, ZERO),
        (1 << 19, 2 * MIB, ABSENT),
    ),
)


def shows(path: Path) -> bytes:
    """What a disk shows; it and all below it must be sound."""
    with open_chain(path) as chain:
        assert [str(problem) for _, problem in check_chain(chain, Progress(), deep=True)] == []
        return chain.view.read(0, chain.view.size)


def ids(path: Path) -> list[tuple[str, str]]:
    with open_chain(path) as chain:
        return chain_ids(chain.layers, Progress())


@settings(max_examples=40, deadline=None)
@given(stacks(), st.sampled_from(["raw", "qcow2", "vhdx", "vhd"]), st.booleans())
def test_flattening_keeps_what_is_shown(stack: Stack, name: str, fold: bool) -> None:
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"flat.{name}"
        flatten(stack.write(Path(folder))[-1], target, fold=fold)
        assert shows(target) == stack.shown()
        with open_layer(target) as layer:
            assert layer.info.parent is None


@settings(max_examples=40, deadline=None)
@given(stacks(), st.sampled_from(["raw", "qcow2", "vhdx"]), st.booleans())
def test_flattening_to_larger_sectors_keeps_what_is_shown(stack: Stack, name: str, fold: bool) -> None:
    with TemporaryDirectory() as folder:
        leaf, target = Path(folder, "leaf.qcow2"), Path(folder, f"flat.{name}")
        whole = Content(9, ((0, -(-stack.size // 4096) * 4096, ABSENT),))
        add_layer(leaf, whole, stack.write(Path(folder))[-1])
        flatten(leaf, target, sector_size=4096, fold=fold)
        assert shows(target) == stack.shown().ljust(whole.runs[-1][1], b"\0")
        assert described(target).sector_size == (4096 if name == "vhdx" else 512)


def test_a_layer_does_not_get_larger_sectors_than_its_content(tmp_path: Path) -> None:
    content = Content(2, ((0, 4096 + 512, ABSENT), (4096 + 512, MIB, DATA)))
    leaf = Stack(("vhdx", "vhdx"), (Content(1, ((0, MIB, DATA),)), content)).write(tmp_path)[-1]
    reference = ParentReference((RecordedPath(PathKind.RELATIVE, "0.vhdx"),), format="vhdx")
    new = NewLayer(MIB, Allocation.DIFFERENCING, sector_size=4096, parent=reference)
    with (
        open_layer(leaf) as layer,
        create_layer(tmp_path / "new.qcow2", new) as writer,
        pytest.raises(InvalidInput, match="the 4096 bytes at 4096 "),
    ):
        transfer(View([layer]), writer, Progress())


def test_flattening_takes_what_the_caller_wants(tmp_path: Path) -> None:
    leaf = Stack(("vhdx", "qcow2"), (BASE, CHILD)).write(tmp_path)[-1]
    target = tmp_path / "disk.bin"
    flatten(leaf, target, target_format="vhdx", allocation=Allocation.FIXED, block_size=2 * MIB)
    with open_layer(target) as layer:
        assert (layer.info.allocation, layer.info.block_size) == (Allocation.FIXED, 2 * MIB)
    with pytest.raises(AlreadyThere):
        flatten(leaf, target, target_format="raw")
    flatten(leaf, target, target_format="raw", replace=True)
    assert target.read_bytes() == Stack(("raw", "qcow2"), (BASE, CHILD)).shown()


@settings(max_examples=40, deadline=None)
@given(stacks(all_vhdx=True))
def test_layers_go_to_another_format_and_back(stack: Stack) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = stack.write(folder)
        there, back = folder / "there", folder / "back"
        there.mkdir()
        back.mkdir()
        ours = recreated(paths, there, ".qcow2", folder)
        again = recreated(ours, back, ".vhdx", folder)
        assert ids(paths[-1]) == ids(ours[-1]) == ids(again[-1])
        for place, (path, other) in enumerate(zip(ours, again, strict=True), start=1):
            assert shows(path) == shows(other) == stack.shown(place)
            assert presence(paths[place - 1]) == presence(other) or place == 1


def recreated(paths: list[Path], folder: Path, suffix: str, within: Path) -> list[Path]:
    """Each layer in another format."""
    made: list[Path] = []
    for path in paths:
        target = folder / f"{path.stem}{suffix}"
        convert_layer(path, target, parent=made[-1] if made else None, within=[within])
        made.append(target)
    return made


def presence(path: Path) -> list[tuple[int, int]]:
    """What a layer has, whether data or zeros."""
    found: list[tuple[int, int]] = []
    with open_layer(path) as layer:
        for extent in layer.extents():
            if extent.kind is ABSENT:
                continue
            if found and found[-1][1] == extent.offset:
                found[-1] = found[-1][0], extent.end
            else:
                found.append((extent.offset, extent.end))
    return found


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_base_has_one_diff_id_in_every_format(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 3 * MIB // 512)) * 512
    content = data.draw(contents(size=size, sector=512, anchors=BORDERS, longest=50000 // 512 * 512))
    with TemporaryDirectory() as folder:
        found = set()
        for suffix in ("raw", "qcow2", "vhdx", "vhd"):
            path = Path(folder) / f"base.{suffix}"
            add_layer(path, content)
            with open_layer(path) as layer:
                found.add(diff_id(layer, Progress()))
        assert len(found) == 1
        assert found == {naive_base_id(content.bytes_of(0, size))}


def naive_base_id(content: bytes) -> str:
    """The definition in docs/disk/chains.md for a base, word by word."""
    units = [content[place : place + 4096] for place in range(0, len(content), 4096)]
    full = [number for number, unit in enumerate(units) if any(unit)]
    runs: list[list[int]] = []
    for number in full:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    extents, chunks = hashlib.sha256(), hashlib.sha256()
    for run in runs:
        start, end = run[0] * 4096, min((run[-1] + 1) * 4096, len(content))
        extents.update((start // 512).to_bytes(8, "little") + ((end - start) // 512).to_bytes(8, "little") + b"\0")
    for window in sorted({number // 256 for number in full}):
        data = b"".join(units[number] for number in full if number // 256 == window)
        chunks.update(window.to_bytes(8, "little") + hashlib.sha256(data).digest())
    head = b"ireko-delta-1\n" + len(content).to_bytes(8, "little")
    return "sha256:" + hashlib.sha256(head + extents.digest() + chunks.digest()).hexdigest()


def test_sealed_layers_link_wherever_they_are_made(tmp_path: Path) -> None:
    paths = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    for path in paths:
        seal(path)
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        qcow2 = recreated(paths, folder, ".qcow2", tmp_path)
        for path in qcow2:
            seal(path, within=[tmp_path])
        made.append(recreated(qcow2, folder, ".vhdx", tmp_path))
    made[0][0].replace(made[1][0])
    assert shows(made[1][1]) == shows(paths[1])
    with open_layer(made[1][1]) as layer:
        assert layer.info.identity.content == identity_of(ids(paths[1])[0][1])


def test_a_wrong_counterpart_is_refused(tmp_path: Path) -> None:
    base, leaf = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    other = tmp_path / "other.qcow2"
    add_layer(other, CHILD)
    for path in (base, leaf, other):
        seal(path)
    with pytest.raises(Conflict, match="counterpart"):
        convert_layer(leaf, tmp_path / "leaf.qcow2", parent=other)
    with pytest.raises(InvalidInput, match="counterpart"):
        convert_layer(leaf, tmp_path / "leaf.qcow2")
    with pytest.raises(InvalidInput, match="base"):
        convert_layer(base, tmp_path / "leaf.qcow2", parent=other)


@settings(max_examples=30, deadline=None)
@given(stacks())
def test_committing_keeps_what_is_shown(stack: Stack) -> None:
    if len(stack.formats) < 2:
        return
    with TemporaryDirectory() as folder:
        paths = stack.write(Path(folder))
        assert commit(paths[-1]) == paths[-2]
        assert not paths[-1].exists()
        assert shows(paths[-2]) == stack.shown()


def test_a_parent_of_others_is_not_committed_into(tmp_path: Path) -> None:
    base, leaf = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    other, above = tmp_path / "other.vhdx", tmp_path / "above.qcow2"
    add_layer(other, CHILD, base)
    before = files(tmp_path)
    with pytest.raises(Conflict, match=r"other\.vhdx"):
        commit(leaf)
    assert files(tmp_path) == before
    other.unlink()
    add_layer(above, CHILD, leaf)
    with pytest.raises(Conflict, match=r"above\.qcow2"):
        commit(leaf)
    with pytest.raises(Conflict, match="no parent"):
        commit(base)


def test_an_interrupted_commit_is_completed(tmp_path: Path) -> None:
    base, leaf = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    kept = leaf.read_bytes()
    expected = shows(leaf)
    commit(leaf)
    leaf.write_bytes(kept)
    assert commit(leaf) == base
    assert not leaf.exists()
    assert shows(base) == expected


@settings(max_examples=40, deadline=None)
@given(stacks(), st.data())
def test_rebasing_keeps_what_is_shown(stack: Stack, data: st.DataObject) -> None:
    if len(stack.formats) < 2:
        return
    other = data.draw(contents(size=stack.size, sector=512, anchors=BORDERS, seed=50, longest=50000 // 512 * 512))
    with TemporaryDirectory() as folder:
        paths = stack.write(Path(folder))
        fresh = Path(folder) / f"new.{'raw' if stack.formats[-1] == 'qcow2' else stack.formats[-1]}"
        add_layer(fresh, other)
        target = data.draw(st.sampled_from([fresh, *(p for p in paths[:-1] if p.suffix == fresh.suffix)]))
        rebase(paths[-1], target)
        assert shows(paths[-1]) == stack.shown()
        with open_chain(paths[-1]) as chain:
            assert chain.layers[1].info.path == target


def test_a_disk_is_not_rebased_onto_itself(tmp_path: Path) -> None:
    base, middle, leaf = Stack(("vhdx", "vhdx", "vhdx"), (BASE, CHILD, CHILD)).write(tmp_path)
    with pytest.raises(Conflict, match="stands on"):
        rebase(middle, leaf)
    with pytest.raises(Conflict, match="no parent"):
        rebase(base, leaf)


@settings(max_examples=30, deadline=None)
@given(stacks(), st.integers(0, 3))
def test_compacting_changes_nothing_but_room(stack: Stack, place: int) -> None:
    with TemporaryDirectory() as folder:
        paths = stack.write(Path(folder))
        before = ids(paths[-1])
        compact(paths[place % len(paths)], format_name=stack.formats[place % len(paths)])
        assert shows(paths[-1]) == stack.shown()
        assert ids(paths[-1]) == before


@pytest.mark.parametrize("suffix", ["qcow2", "vhd"])
def test_a_layer_comes_back_the_same_from_every_format(tmp_path: Path, suffix: str) -> None:
    paths = Stack(("vhdx", "vhdx", "vhdx"), (BASE, CHILD, CHILD)).write(tmp_path)
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    ours = recreated(paths, there, f".{suffix}", tmp_path)
    again = recreated(ours, back, ".vhdx", tmp_path)
    assert ids(paths[-1]) == ids(ours[-1]) == ids(again[-1])
    assert shows(ours[-1]) == shows(paths[-1])


@pytest.mark.parametrize("suffix", ["vhdx", "qcow2", "vhd"])
def test_compacting_gives_room_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"disk.{suffix}"
    (tmp_path / "zeros.raw").write_bytes(bytes(8 * MIB) + b"x" * 4096)
    flatten(tmp_path / "zeros.raw", path, block_size=MIB)
    seal(path)
    assert compact(path) > 7 * MIB
    assert shows(path) == bytes(8 * MIB) + b"x" * 4096
    assert path.stat().st_mode & 0o222 == 0


@settings(max_examples=20, deadline=None)
@given(stacks(), st.integers(0, 3 * MIB // 512))
def test_growing_adds_zeros(stack: Stack, more: int) -> None:
    with TemporaryDirectory() as folder:
        path = stack.write(Path(folder))[-1]
        resize(path, stack.size + more * 512)
        assert shows(path) == stack.shown() + bytes(more * 512)


def test_what_can_not_grow_is_refused(tmp_path: Path) -> None:
    base, leaf = Stack(("qcow2", "qcow2"), (BASE, CHILD)).write(tmp_path)
    with pytest.raises(InvalidInput):
        resize(leaf, MIB)
    with pytest.raises(InvalidInput):
        resize(leaf, 4 * MIB + 1)
    with pytest.raises(Conflict, match="stand on"):
        resize(base, 4 * MIB)
    seal(base)
    seal(leaf)
    with pytest.raises(Conflict, match="sealed"):
        resize(leaf, 4 * MIB)


SNAPSHOTS_OF_QCOW2 = 63


def test_a_disk_whose_snapshots_would_be_lost_is_left_alone(tmp_path: Path) -> None:
    base, leaf = Stack(("qcow2", "qcow2"), (BASE, CHILD)).write(tmp_path)
    with leaf.open("r+b") as file:
        file.seek(SNAPSHOTS_OF_QCOW2)
        file.write(b"\1")
    before = leaf.read_bytes(), base.read_bytes()
    works: list[Callable[[], object]] = [
        lambda: compact(leaf),
        lambda: resize(leaf, 4 * MIB),
        lambda: rebase(leaf, base),
        lambda: commit(leaf),
    ]
    for work in works:
        with pytest.raises(Conflict, match="1 internal snapshot, which would be lost"):
            work()
    assert (leaf.read_bytes(), base.read_bytes()) == before


def test_repair_finds_a_parent_by_its_identity(tmp_path: Path) -> None:
    base, leaf = Stack(("vhdx", "vhdx"), (BASE, CHILD)).write(tmp_path)
    expected = shows(leaf)
    moved = tmp_path / "images" / "renamed.vhdx"
    moved.parent.mkdir()
    base.rename(moved)
    with pytest.raises(ChainBroken):
        open_chain(leaf)
    assert repair(leaf, within=[tmp_path]) == moved
    with open_chain(leaf, within=[tmp_path]) as chain:
        assert chain.view.read(0, chain.view.size) == expected


def test_repair_finds_a_sealed_parent_by_its_content(tmp_path: Path) -> None:
    base, leaf = Stack(("qcow2", "qcow2"), (BASE, CHILD)).write(tmp_path)
    expected = shows(leaf)
    seal(base)
    sealed = seal(leaf)
    moved, wrong = tmp_path / "moved.vhdx", tmp_path / "wrong.qcow2"
    flatten(base, moved)
    add_layer(wrong, CHILD)
    for path in (base, base.with_name(base.name + ".seal")):
        path.unlink()
    with pytest.raises(ChainBroken, match="content"):
        repair(leaf, parent=wrong)
    with pytest.raises(ChainBroken, match="not in"):
        repair(leaf)
    repair(leaf, parent=moved)
    assert shows(leaf) == expected
    assert ids(leaf)[0][1] == sealed.chain_id


def test_repair_proves_or_refuses(tmp_path: Path) -> None:
    base, leaf = Stack(("qcow2", "qcow2"), (BASE, CHILD)).write(tmp_path)
    moved = tmp_path / "moved.qcow2"
    base.rename(moved)
    before = files(tmp_path)
    with pytest.raises(ChainBroken, match="identity"):
        repair(leaf, parent=moved)
    assert files(tmp_path) == before


class Stopping(Progress):
    """Cancels itself after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def advance(self, count: int) -> None:
        self.steps -= 1
        if self.steps < 0:
            self.cancel()
        super().advance(count)


def operate(folder: Path, progress: Progress) -> dict[str, Callable[[], object]]:
    base, middle, leaf = (folder / name for name in ("0.vhdx", "1.vhdx", "2.qcow2"))
    return {
        "flatten": lambda: flatten(leaf, folder / "flat.raw", progress=progress),
        "convert": lambda: convert_layer(base, folder / "other.qcow2", progress=progress),
        "commit": lambda: commit(leaf, progress=progress),
        "rebase": lambda: rebase(leaf, base, progress=progress),
        "compact": lambda: compact(middle, progress=progress),
        "resize": lambda: resize(leaf, 4 * MIB, progress=progress),
        "repair": lambda: repair(middle, parent=base, progress=progress),
    }


OPERATIONS = sorted(operate(Path(), Progress()))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_cancelled_leaves_no_trace(tmp_path: Path, name: str) -> None:
    Stack(("vhdx", "vhdx", "qcow2"), (BASE, CHILD, CHILD)).write(tmp_path)
    before = files(tmp_path)
    chance, cancelled = random.Random(name), 0
    for steps in [0, 1, *(chance.randrange(2, 12) for _ in range(4))]:
        with contextlib.suppress(Cancelled):
            operate(tmp_path, Stopping(steps))[name]()
            break
        cancelled += 1
        assert files(tmp_path) == before
    assert cancelled >= 2


@contextlib.contextmanager
def no_file_longer_than(length: int) -> Iterator[None]:
    """The system refuses to let files grow further, as it does on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_full_disk_leaves_no_trace(tmp_path: Path, name: str) -> None:
    Stack(("vhdx", "vhdx", "qcow2"), (BASE, CHILD, CHILD)).write(tmp_path)
    before = files(tmp_path)
    for length in (0, 20000, 70000, 200000):
        with no_file_longer_than(length):
            try:
                operate(tmp_path, Progress())[name]()
            except NoSpace:
                pass
            except IrekoError as error:
                pytest.fail(str(error))
            else:
                break
        assert files(tmp_path) == before
    else:
        return
    assert length > 0
