"""Whatever is done with some disks, one thing after the other: each shows what plain bytes say, or the call is refused.

A disk can be of any format, size, block size and sector size, and stand on any other. What is refused has changed nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.formats import create_layer, described
from ireko.disk.operations import commit, compact, convert_layer, flatten, merge, rebase, resize, write_on_top
from ireko.disk.reference import reference_to
from ireko.errors import IrekoError

from .model import ABSENT, MIB, contents
from .stacks import BORDERS

T = TypeVar("T")
LARGEST = 3 * MIB
FORMATS = ("raw", "qcow2", "vhdx", "vhd")
BLOCKS = {"raw": [0], "qcow2": [0, 512, 1 << 14, MIB], "vhdx": [MIB, 2 * MIB], "vhd": [0, 4096, 1 << 19]}


class Disks:
    """Some disks in a folder, and what each shows."""

    def __init__(self, folder: Path, data: st.DataObject) -> None:
        self.folder = folder
        self._data = data
        self._made = 0
        self.shown: dict[Path, bytes] = {}

    def step(self) -> None:
        """Do something. What is refused changes nothing."""
        before, files = dict(self.shown), self._files()
        often = [self.child] * 5 + [self.commit, self.merge, self.rebase] * 2
        doings = [*often, self.base, self.compact, self.resize, self.flatten, self.on_top, self.convert]
        doing = self._draw(st.sampled_from(doings)) if before else self.base
        try:
            doing()
        except IrekoError:
            assert (self.shown, self._files()) == (before, files)

    def base(self) -> None:
        """A disk without a parent."""
        form = self._draw(st.sampled_from(FORMATS))
        sector = self._draw(st.sampled_from([512, 4096])) if form == "vhdx" else 512
        kinds = [Allocation.DYNAMIC] if form == "qcow2" else [Allocation.DYNAMIC, Allocation.FIXED]
        new = NewLayer(self._size(sector), self._draw(st.sampled_from(kinds)), sector, block_size=self._block(form))
        self._write(self._path(form), new, b"")

    def child(self) -> None:
        """A disk on one that is there; a qcow2 disk with blocks of its own holds nothing yet."""
        parent = self._any()
        info = described(parent)
        form = self._draw(st.sampled_from(["qcow2", "vhdx", "vhd"]))
        block, path = self._block(form), self._path(form)
        sector = 512 if form == "qcow2" else info.sector_size
        new = NewLayer(
            self._draw(st.sampled_from([info.size, self._size(sector)])),
            Allocation.DIFFERENCING,
            sector,
            block_size=block,
            parent=reference_to(info, path),
            disk_id=info.identity.disk,
        )
        if form != "qcow2" and (info.format != form or new.size < info.size):
            return  # whoever makes a layer by hand has to know what may stand on what
        self._write(path, new, self.shown[parent], empty=form == "qcow2" and block != 0)

    def commit(self) -> None:
        leaf = self._leaf()
        content = self.shown[leaf]
        self.shown[commit(leaf)] = content
        del self.shown[leaf]

    def rebase(self) -> None:
        rebase(self._leaf(), self._any())

    def compact(self) -> None:
        compact(self._any())

    def resize(self) -> None:
        path, more = self._any(), self._draw(st.integers(0, 400)) * 4096
        resize(path, len(self.shown[path]) + more)
        self.shown[path] += bytes(more)

    def flatten(self) -> None:
        self._derive(lambda source, target: flatten(source, target, fold=self._draw(st.booleans())), FORMATS)

    def merge(self) -> None:
        self._derive(
            lambda source, target: merge(source, target, parent=self._draw(st.sampled_from(self._below(source))))
        )

    def on_top(self) -> None:
        self._derive(lambda source, target: write_on_top(source, target, parent=self._any()))

    def convert(self) -> None:
        """A layer onto the counterpart of its parent, which is made for it."""
        source = self._any()
        target = self._path(self._draw(st.sampled_from(["qcow2", "vhdx", "vhd"])))
        with open_chain(source) as chain:
            below = chain.parent.info.path if chain.parent else None
        counterpart = target.with_name(f"counterpart-{target.name}") if below else None
        if below and counterpart:
            flatten(below, counterpart)
            self.shown[counterpart] = self.shown[below]
        try:
            convert_layer(source, target, parent=counterpart)
        except IrekoError:
            if counterpart:
                counterpart.unlink()
                del self.shown[counterpart]
            raise
        self.shown[target] = self.shown[source]

    def check(self) -> None:
        """Whether all disks show what they are to show."""
        for path, content in self.shown.items():
            with open_chain(path) as chain:
                assert [str(problem) for _, problem in check_chain(chain, Progress())] == []
                assert chain.view.size == len(content)
                assert chain.view.read(0, chain.view.size) == content

    def _derive(
        self, work: Callable[[Path, Path], None], formats: tuple[str, ...] = ("qcow2", "qcow2", "vhdx", "vhd")
    ) -> None:
        source, target = self._any(), self._path(self._draw(st.sampled_from(formats)))
        work(source, target)
        self.shown[target] = self.shown[source]

    def _write(self, path: Path, new: NewLayer, below: bytes, *, empty: bool = False) -> None:
        anchors = [each for each in BORDERS if each < new.size]
        content = self._draw(
            contents(size=new.size, sector=new.sector_size, anchors=anchors, seed=self._made, longest=49152)
        )
        shown = bytearray(below[: new.size].ljust(new.size, b"\0"))
        with create_layer(path, new) as writer:
            if not empty:
                content.write(writer)
                for first, last, kind in content.runs:
                    if kind is not ABSENT:
                        shown[first:last] = content.bytes_of(first, last)
            writer.finish()
        self.shown[path] = bytes(shown)

    def _size(self, sector: int) -> int:
        return self._draw(st.integers(1, LARGEST // sector)) * sector

    def _block(self, form: str) -> int:
        return self._draw(st.sampled_from(BLOCKS[form]))

    def _any(self) -> Path:
        return self._draw(st.sampled_from(sorted(self.shown)))

    def _leaf(self) -> Path:
        """The newest disk, or any."""
        return self._draw(st.sampled_from([max(self.shown), *sorted(self.shown)]))

    def _below(self, path: Path) -> list[Path]:
        """What a disk stands on; itself, when that is nothing."""
        with open_chain(path) as chain:
            return [layer.info.path for layer in chain.layers[1:]] or [path]

    def _path(self, form: str) -> Path:
        self._made += 1
        return self.folder / f"{self._made:02}.{form}"

    def _files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.iterdir()}

    def _draw(self, strategy: st.SearchStrategy[T]) -> T:
        return self._data.draw(strategy)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_disks_show_what_plain_bytes_say(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(Path(folder), data)
        for _ in range(data.draw(st.integers(3, 9))):
            disks.step()
            disks.check()


@settings(max_examples=5, deadline=None)
@given(st.data())
def test_qemu_finds_nothing_wrong_with_them(qemu_img: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        disks = Disks(Path(folder), data)
        for _ in range(7):
            disks.step()
        for path in disks.shown:
            if path.suffix == ".qcow2":
                subprocess.run([qemu_img, "check", path], check=True, capture_output=True, timeout=30)
