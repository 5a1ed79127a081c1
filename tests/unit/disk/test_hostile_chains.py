"""Chains of damaged files, seals and names give our errors and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ireko.disk.base import Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.operations import compact, convert_layer, flatten, seal
from ireko.errors import IrekoError

from .model import ABSENT, DATA, MIB, ZERO, Content
from .stacks import Stack

BASE = Content(1, ((0, 70_144, DATA), (70_144, MIB, ABSENT)))
CHILD = Content(2, ((0, 4096, ABSENT), (4096, 9216, DATA), (9216, 1 << 17, ZERO), (1 << 17, MIB, ABSENT)))
CHAINS = [("qcow2", "qcow2"), ("vhdx", "vhdx"), ("vhdx", "qcow2"), ("raw", "qcow2"), ("vhd", "qcow2"), ("vhd", "vhd")]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHAINS), st.data())
def test_damaged_chains_give_our_errors_alone(formats: tuple[str, ...], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        paths = Stack(formats, (BASE, CHILD)).write(Path(folder))
        seal(paths[0])
        victim = data.draw(st.sampled_from([*paths, Path(f"{paths[0]}.seal")]))
        victim.chmod(0o600)
        damage(victim, data)
        before = victim.read_bytes()
        with contextlib.suppress(IrekoError):
            use(paths[-1])
        with contextlib.suppress(IrekoError):
            flatten(paths[-1], Path(folder) / "flat.raw")
        with contextlib.suppress(IrekoError):
            convert_layer(paths[0], Path(folder) / "other.qcow2", source_format=formats[0])
        assert victim.read_bytes() == before
        with contextlib.suppress(IrekoError):
            compact(paths[-1])


def use(path: Path) -> None:
    with open_chain(path) as chain:
        list(check_chain(chain, Progress(), deep=chain.view.size <= 64 * MIB))
        for number, extent in enumerate(chain.view.extents()):
            chain.view.read(extent.offset, min(extent.length, 1 << 16))
            if number > 500:
                return


def damage(path: Path, data: st.DataObject) -> None:
    """Change some bytes of what isn't zero, where structures are."""
    content = bytearray(path.read_bytes())
    places = [place for place in range(0, min(len(content), 5 * MIB), 8) if any(content[place : place + 8])]
    tables = [place for place in places if place % 4096 < 256] or places
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(data.draw(st.sampled_from([places, tables]))))
        content[place + data.draw(st.integers(0, min(7, len(content) - place - 1)))] ^= data.draw(st.integers(1, 255))
    if data.draw(st.integers(0, 9)) == 0:
        del content[data.draw(st.integers(0, len(content))) :]
    path.write_bytes(content)
