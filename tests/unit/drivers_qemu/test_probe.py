"""Whether KVM works, with a program in QEMU's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ireko.drivers.qemu.probe import try_kvm

PLAYED = """#!/bin/sh
case " $* " in
  *" kvm "*) {kvm} ;;
  *) {software} ;;
esac
"""


@pytest.mark.parametrize(
    ("kvm", "software", "found"),
    [
        ("exit 33", "exit 33", ""),
        ("exit 33", "exit 1", ""),
        ("exit 1", "exit 33", "does not work"),
        ("exit 0", "exit 33", "ended before it began"),
        ("exec sleep 1000", "exit 33", "hangs for more than"),
        ("sleep 1; exit 33", "sleep 2; exit 33", ""),  # the host is busy
    ],
)
async def test_what_is_found(kvm: str, software: str, found: str, tmp_path: Path) -> None:
    program = tmp_path / "qemu"
    program.write_text(PLAYED.format(kvm=kvm, software=software))
    program.chmod(0o755)
    least = 0.5 if "sleep" in kvm else 60
    said = await try_kvm(str(program), tmp_path, least=least)
    assert found in said
    assert bool(found) == bool(said)
    assert [entry.name for entry in tmp_path.iterdir()] == ["qemu"]
