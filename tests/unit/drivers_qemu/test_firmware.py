"""Which UEFI firmware is taken, of those that a host describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ireko.drivers.qemu import firmware
from ireko.errors import Unsupported


class Places:
    """Folders with descriptions, the highest rank first."""

    def __init__(self, folder: Path) -> None:
        self.folders = [folder / "own", folder / "host"]
        self.files = folder / "files"
        for each in (*self.folders, self.files):
            each.mkdir()

    def describe(self, name: str, place: int = 1, *, files: bool = True, **changes: Any) -> None:
        code, variables = (self.files / f"{name}.{kind}" for kind in ("code", "variables"))
        if files:
            code.touch()
            variables.write_bytes(b"fresh")
        described = {
            "description": "for tests",
            "interface-types": ["uefi"],
            "mapping": {
                "device": "flash",
                "executable": {"filename": str(code), "format": "raw"},
                "nvram-template": {"filename": str(variables), "format": "raw"},
            },
            "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
            "features": ["acpi-s3"],
            "tags": [],
        }
        (self.folders[place] / f"{name}.json").write_text(json.dumps(described | changes))

    def chosen(self) -> str:
        found = firmware.find(self.folders)
        return found.code.path.stem if found else ""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_the_first_by_name(places: Places) -> None:
    places.describe("60-plain")
    places.describe("50-other")
    assert places.chosen() == "50-other"
    places.describe("40-own", place=0)
    assert places.chosen() == "40-own"


@pytest.mark.parametrize("feature", ["secure-boot", "enrolled-keys", "requires-smm"])
def test_what_boots_signed_systems_alone_is_passed_over(places: Places, feature: str) -> None:
    places.describe("40-secure", features=["acpi-s3", feature])
    assert places.chosen() == ""
    places.describe("60-plain")
    assert places.chosen() == "60-plain"


@pytest.mark.parametrize(
    "changes",
    [
        {"interface-types": ["bios"]},
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
        {"mapping": {"device": "memory", "filename": "/usr/share/ovmf/OVMF.fd"}},
        {"mapping": {"device": "kernel"}},
        {"targets": "all"},
        {"files": False},
    ],
)
def test_what_can_t_be_used_is_passed_over(places: Places, changes: dict[str, Any]) -> None:
    places.describe("40-other", **changes)
    places.describe("60-plain")
    assert places.chosen() == "60-plain"


def test_a_file_of_a_higher_rank_hides_its_namesake(places: Places) -> None:
    places.describe("40-hidden")
    places.describe("60-plain")
    (places.folders[0] / "40-hidden.json").touch()
    assert places.chosen() == "60-plain"


def test_a_host_without_any_is_told_what_to_install(places: Places) -> None:
    places.folders[1].rmdir()
    with pytest.raises(Unsupported, match='"web"') as caught:
        firmware.needed("web", places.folders)
    assert "ovmf" in caught.value.hint


def test_variables_are_a_machine_s_own(places: Places, tmp_path: Path) -> None:
    places.describe("60-plain")
    template = firmware.needed("web", places.folders).variables
    path = tmp_path / "variables"
    firmware.provide(template, path)
    assert path.read_bytes() == b"fresh"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"later")
    firmware.provide(template, path)
    assert path.read_bytes() == b"later"
    path.write_bytes(b"of a firmware that is not here any more")
    firmware.provide(template, path)
    assert path.read_bytes() == b"fresh"
