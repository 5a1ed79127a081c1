"""Some seconds of fuzzing; `python -m tests.unit.disk.fuzz` does it for as long as one likes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.formats import create_layer

from . import fuzz
from .specimens import specimens


def test_damaged_disks_give_our_errors_alone(tmp_path: Path) -> None:
    fuzzing = fuzz.Fuzzing(tmp_path)
    assert fuzz.fuzz(fuzzing, seconds=120, count=200) > 0  # the same ones on any machine
    assert fuzzing.findings == []


def test_specimens_are_sound(tmp_path: Path) -> None:
    for specimen in specimens(tmp_path):
        if specimen.folder.name == "child-vhd":  # it has no parent
            continue
        with open_chain(specimen.leaf) as chain:
            assert list(check_chain(chain, Progress(), deep=True)) == []


@pytest.mark.parametrize("suffix", ["vhdx", "vhd", "qcow2"])
def test_a_case_follows_from_its_number_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"disk.{suffix}"
    with create_layer(path, NewLayer(1 << 20, Allocation.DYNAMIC)) as writer:
        writer.write_data(0, b"x" * 4096)
        writer.finish()
    before = path.read_bytes()
    for number in range(3):
        found = []
        for _ in range(2):
            with fuzz.Damage(path, random.Random(number)) as content:
                found.append(content)
                assert path.read_bytes() == content
            assert path.read_bytes() == before
        assert found[0] == found[1]
        assert found[0] != before
