"""Small sound disks of every kind that is read, alone and in chains: what fuzzing begins with."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ireko.disk.base import Allocation, NewLayer
from ireko.disk.formats import create_layer
from ireko.disk.operations import seal

from .corpus import unpack
from .model import ABSENT, DATA, MIB, ZERO, Content
from .stacks import Stack
from .test_damaged import dirty
from .test_vhd import differencing

_LARGEST = 16 * MIB
_BASE = Content(1, ((0, 70_144, DATA), (70_144, MIB, ABSENT), (MIB, MIB + 4096, DATA), (MIB + 4096, 3 * MIB, ABSENT)))
_CHILD = Content(
    2, ((0, 4096, ABSENT), (4096, 9216, DATA), (9216, 1 << 17, ZERO), (1 << 17, MIB, DATA), (MIB, 3 * MIB, ZERO))
)
_TOP = Content(3, ((0, 6144, ABSENT), (6144, 6656, DATA), (6656, 2 * MIB, ABSENT), (2 * MIB, 3 * MIB, DATA)))
_CHAINS = [
    ("vhdx", "vhdx", "vhdx"),
    ("qcow2", "qcow2", "qcow2"),
    ("raw", "qcow2"),
    ("vhdx", "qcow2"),
    ("vhd", "qcow2"),
]
_SINGLE = {
    "fixed.vhdx": NewLayer(3 * MIB, Allocation.FIXED, block_size=MIB),
    "native.vhdx": NewLayer(3 * MIB, sector_size=4096, block_size=MIB),
    "fixed.vhd": NewLayer(MIB, Allocation.FIXED),
    "dynamic.vhd": NewLayer(3 * MIB, block_size=1 << 16),
    "small.qcow2": NewLayer(3 * MIB, block_size=4096),
}
_QEMU = {
    "old.qcow2": ("-o", "compat=0.10"),
    "deflate.qcow2": ("-c",),
    "zstd.qcow2": ("-c", "-o", "compression_type=zstd"),
    "subclusters.qcow2": ("-o", "extended_l2=on"),
    "narrow.qcow2": ("-o", "refcount_bits=1,cluster_size=512"),
}


@dataclass(frozen=True)
class Specimen:
    """Files in a folder of their own. `leaf` is the one to open; seals are among `files` too."""

    folder: Path
    leaf: Path
    files: tuple[Path, ...]


def specimens(folder: Path, *, corpus: Path | None = None) -> list[Specimen]:
    """Make all of them; those that QEMU makes too where it is installed, and what others made where a folder has it, packed."""
    makers = [*_singles(folder), *_chains(folder), *_by_qemu(folder)]
    return [*makers, *(_foreign(folder, corpus) if corpus else ())]


def _singles(folder: Path) -> Iterator[Specimen]:
    for name, new in _SINGLE.items():
        path = _in_own(folder, name)
        with create_layer(path, new) as writer:
            writer.write_data(0, b"a" * 8192)
            writer.write_data(new.size - 4096, b"b" * 4096)
            writer.finish()
        yield Specimen(path.parent, path, (path,))
    for name, make in (("dirty.vhdx", dirty), ("child.vhd", lambda path: differencing(path, b"\x55"))):
        path = _in_own(folder, name)
        make(path)
        yield Specimen(path.parent, path, (path,))


def _chains(folder: Path) -> Iterator[Specimen]:
    for formats in _CHAINS:
        own = _in_own(folder, "-".join(formats)).parent
        paths = Stack(formats, (_BASE, _CHILD, _TOP)[: len(formats)]).write(own)
        seal(paths[0])
        yield Specimen(own, paths[-1], (*paths, Path(f"{paths[0]}.seal")))


def _by_qemu(folder: Path) -> Iterator[Specimen]:
    program = shutil.which("qemu-img")
    if not program:
        return
    raw = _in_own(folder, "content.raw")
    raw.write_bytes(bytes(MIB) + random.Random(1).randbytes(9000) + b"text" * 40_000 + bytes(MIB))
    for name, options in _QEMU.items():
        path = _in_own(folder, name)
        subprocess.run([program, "convert", "-O", "qcow2", *options, raw, path], check=True, timeout=120)
        yield Specimen(path.parent, path, (path,))


def _foreign(folder: Path, packed: Path) -> Iterator[Specimen]:
    corpus = folder / "corpus"
    corpus.mkdir()
    unpack(packed, corpus)
    for path in sorted(corpus.iterdir()):
        if path.stat().st_size <= _LARGEST and "parent" not in path.stem:
            own = _in_own(folder, f"foreign-{path.name}").parent
            paths = [each for each in corpus.glob(f"*{path.suffix}") if each.stat().st_size <= _LARGEST]
            files = [Path(shutil.copy(each, own)) for each in paths]
            yield Specimen(own, own / path.name, tuple(files))


def _in_own(folder: Path, name: str) -> Path:
    own = folder / name.replace(".", "-")
    own.mkdir()
    return own / name
