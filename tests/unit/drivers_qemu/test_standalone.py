"""The folder of a machine that leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ireko.drivers.base import StandaloneSpec
from ireko.drivers.qemu import standalone
from ireko.errors import AlreadyThere, InvalidInput, Unavailable, Unsupported
from ireko.model.image import Hardware


def test_its_files(tmp_path: Path, machine: Callable[..., StandaloneSpec]) -> None:
    written = standalone.write(machine(), tmp_path, accelerator="tcg")
    assert sorted(path.name for path in written) == ["README.txt", "domain.xml", "start.sh"]
    assert set(written) == set(tmp_path.iterdir())
    assert (tmp_path / "start.sh").stat().st_mode & 0o111
    readme = (tmp_path / "README.txt").read_text()
    for told in "./start.sh", "virsh define domain.xml", 'the container "web" of the image "debian:12"', "disk.qcow2":
        assert told in readme
    assert max(map(len, readme.splitlines())) <= 100


def test_files_are_named_where_they_will_be(tmp_path: Path, machine: Callable[..., StandaloneSpec]) -> None:
    standalone.write(machine(place=Path("/srv/web")), tmp_path, accelerator="tcg")
    assert 'file="/srv/web/disk.qcow2"' in (tmp_path / "domain.xml").read_text()
    assert str(tmp_path) not in (tmp_path / "start.sh").read_text()


@pytest.mark.parametrize("changes", [{"format": "vhdx"}, {"hardware": Hardware.COMMON, "sector_size": 4096}])
def test_what_libvirt_does_not_know_has_no_description(
    changes: dict[str, object], tmp_path: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    written = standalone.write(machine(**changes), tmp_path, accelerator="tcg")
    assert sorted(path.name for path in written) == ["README.txt", "start.sh"]
    assert "virsh" not in (tmp_path / "README.txt").read_text()


@pytest.mark.parametrize("name", ["start.sh", "domain.xml", "README.txt", "uefi-code.fd", "uefi-variables.fd"])
def test_nothing_is_overwritten(name: str, tmp_path: Path, uefi_machine: StandaloneSpec) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(AlreadyThere, match=name):
        standalone.write(uefi_machine, tmp_path, accelerator="tcg")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"name": "a/b"}, InvalidInput),
        ({"disk": "a\x01.qcow2"}, InvalidInput),
        ({"format": "vhdx", "sector_size": 4096}, Unsupported),
    ],
)
def test_what_can_t_be_is_refused_first(
    changes: dict[str, object], kind: type[Exception], tmp_path: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    with pytest.raises(kind):
        standalone.write(machine(**changes), tmp_path, accelerator="tcg")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path, machine: Callable[..., StandaloneSpec]) -> None:
    with pytest.raises(Unavailable, match=r"start\.sh"):
        standalone.write(machine(), tmp_path / "missing", accelerator="tcg")
