"""Others read what is written here, and what others wrote is read here: each within what it gets right."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.formats import create_layer, open_layer

from .model import ABSENT, DATA, MIB, ZERO, Content, contents, flattened, pattern
from .stacks import add_layer
from .test_vhdx import shown, write_chain

SIZE = 5 * MIB + 7 * 1024
QEMU_NAMES = {"vhdx": "vhdx", "vhd": "vpc"}


def run(*command: str | Path) -> bytes:
    return subprocess.run([str(each) for each in command], check=True, capture_output=True, timeout=120).stdout


def make(path: Path, content: Content, *, allocation: Allocation, block_size: int = 0) -> None:
    with create_layer(path, NewLayer(content.runs[-1][1], allocation, block_size=block_size)) as writer:
        content.write(writer)
        writer.finish()


@pytest.mark.parametrize("allocation", [Allocation.FIXED, Allocation.DYNAMIC])
@pytest.mark.parametrize("suffix", ["vhdx", "vhd"])
def test_qemu_reads_ours(qemu_img: str, suffix: str, allocation: Allocation) -> None:
    block_size = {"vhdx": MIB, "vhd": 1 << 19}[suffix]

    @settings(max_examples=8, deadline=None)
    @given(contents(size=SIZE, sector=512, anchors=[MIB, 2 * MIB, 1 << 19]))
    def check(content: Content) -> None:
        with TemporaryDirectory() as folder:
            path, raw = Path(folder) / f"disk.{suffix}", Path(folder) / "disk.raw"
            make(path, content, allocation=allocation, block_size=block_size)
            run(qemu_img, "convert", "-f", QEMU_NAMES[suffix], "-O", "raw", path, raw)
            if suffix == "vhdx":
                run(qemu_img, "check", "-f", "vhdx", path)
            assert raw.read_bytes() == content.bytes_of(0, SIZE)

    check()


@pytest.mark.parametrize(
    "options", ["subformat=dynamic,block_size=1M", "subformat=fixed", "subformat=dynamic,block_state_zero=off"]
)
def test_we_read_vhdx_of_qemu(qemu_img: str, tmp_path: Path, options: str) -> None:
    expected = convert_by_qemu(qemu_img, tmp_path, "vhdx", options)
    with open_layer(tmp_path / "theirs.vhdx") as layer:
        assert layer.info.size == len(expected)
        assert layer.read(0, len(expected)) == expected
        assert list(layer.check(Progress())) == []


@pytest.mark.parametrize("options", ["subformat=dynamic,force_size=on", "subformat=fixed,force_size=on"])
def test_we_read_vhd_of_qemu(qemu_img: str, tmp_path: Path, options: str) -> None:
    expected = convert_by_qemu(qemu_img, tmp_path, "vhd", options)
    with open_layer(tmp_path / "theirs.vhd") as layer:
        assert layer.read(0, len(expected)) == expected
        assert list(layer.check(Progress())) == []


def convert_by_qemu(qemu_img: str, folder: Path, suffix: str, options: str) -> bytes:
    raw = folder / "disk.raw"
    expected = bytearray(SIZE)
    for place in (0, MIB - 512, 3 * MIB + 512, SIZE - 512):
        expected[place : place + 512] = pattern(0, place, place + 512)
    raw.write_bytes(expected)
    run(qemu_img, "convert", "-f", "raw", "-O", QEMU_NAMES[suffix], "-o", options, raw, folder / f"theirs.{suffix}")
    return bytes(expected)


def test_libvhdi_reads_our_chains(read_by_libvhdi: Callable[[list[Path]], bytes]) -> None:
    @settings(max_examples=10, deadline=None)
    @given(st.data())
    def check(data: DataObject) -> None:
        sector = data.draw(st.sampled_from([512, 4096]))
        size = data.draw(st.integers(2, 4 * MIB // sector)) * sector
        layers = [
            data.draw(contents(size=size, sector=sector, anchors=[MIB, 2 * MIB], seed=number)) for number in range(3)
        ]
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.vhdx" for number in range(3)]
            layers[1:] = [within_its_limits(each, sector) for each in layers[1:]]
            write_chain(paths, layers, sector)
            assert read_by_libvhdi(paths[::-1]) == shown(layers, 0, size)

    check()


def within_its_limits(content: Content, sector: int) -> Content:
    """The content with a first block that is partially there, and nothing that hides the parent with zeros.

    Where a chunk has no sector bitmap, libvhdi takes the bits of absent blocks from the start of the file; and it shows the
    parent where a whole block is marked as zeros.
    """
    rest = [(a, b, ABSENT if kind is ZERO else kind) for a, b, kind in content.cut(2 * sector, content.runs[-1][1])]
    return Content(content.seed, ((0, sector, DATA), (sector, 2 * sector, ABSENT), *rest))


def test_libvhdi_reads_our_vhd(read_by_libvhdi: Callable[[list[Path]], bytes], tmp_path: Path) -> None:
    content = Content(
        3, ((0, 4096, ABSENT), (4096, 9216, DATA), (9216, SIZE - 1024, ABSENT), (SIZE - 1024, SIZE, DATA))
    )
    for allocation in (Allocation.FIXED, Allocation.DYNAMIC):
        path = tmp_path / f"{allocation.value}.vhd"
        make(path, content, allocation=allocation)
        assert read_by_libvhdi([path]) == content.bytes_of(0, SIZE)


def test_seven_zip_reads_our_chain(seven_zip: str, tmp_path: Path) -> None:
    """It finds the parent by the locator, by itself."""
    base = Content(1, ((0, MIB, DATA), (MIB, 3 * MIB, ABSENT), (3 * MIB, 4 * MIB, DATA)))
    child = Content(2, ((0, 512, ABSENT), (512, 1536, DATA), (1536, 3 * MIB, ABSENT), (3 * MIB, 4 * MIB, ZERO)))
    paths = [tmp_path / "base.vhdx", tmp_path / "child.vhdx"]
    write_chain(paths, [base, child], 512)
    assert run(seven_zip, "x", "-so", "-tvhdx", paths[1]) == shown([base, child], 0, 4 * MIB)


def vhd_chain(folder: Path, layers: list[Content]) -> list[Path]:
    """Files of layers, base first."""
    paths = [folder / f"{number}.vhd" for number in range(len(layers))]
    for number, (path, content) in enumerate(zip(paths, layers, strict=True)):
        add_layer(path, content, paths[number - 1] if number else None)
    return paths


def test_libvhdi_reads_our_vhd_chains(read_by_libvhdi: Callable[[list[Path]], bytes]) -> None:
    """In pieces of eight sectors: where the bits of one byte of a bitmap differ, it takes all of them for the first."""

    @settings(max_examples=10, deadline=None)
    @given(st.data())
    def check(data: DataObject) -> None:
        size = data.draw(st.integers(8, 4 * MIB // 4096)) * 4096
        layers = [data.draw(contents(size=size, sector=4096, anchors=[2 * MIB], seed=number)) for number in range(3)]
        with TemporaryDirectory() as folder:
            assert read_by_libvhdi(vhd_chain(Path(folder), layers)[::-1]) == shown(layers, 0, size)

    check()


def test_seven_zip_reads_our_vhd_chain(seven_zip: str, tmp_path: Path) -> None:
    """It finds the parent by the locator, by itself."""
    base = Content(1, ((0, MIB, DATA), (MIB, 3 * MIB, ABSENT), (3 * MIB, 4 * MIB, DATA)))
    child = Content(2, ((0, 512, ABSENT), (512, 1536, DATA), (1536, 3 * MIB, ABSENT), (3 * MIB, 4 * MIB, ZERO)))
    paths = vhd_chain(tmp_path, [base, child])
    assert run(seven_zip, "x", "-so", "-tvhd", paths[1]) == shown([base, child], 0, 4 * MIB)


def test_both_readers_agree_on_disks_of_windows(corpus: Path, read_by_libvhdi: Callable[[list[Path]], bytes]) -> None:
    for suffix in ("vhd", "vhdx"):
        paths = [corpus / f"ntfs-differential.{suffix}", corpus / f"ntfs-parent.{suffix}"]
        layers = [open_layer(path) for path in paths]
        assert read_by_libvhdi(paths) == flattened(layers, 0, layers[0].info.size)
        for layer in layers:
            layer.close()
