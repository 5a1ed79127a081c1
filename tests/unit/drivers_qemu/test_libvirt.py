"""What libvirt is asked, with its own program and its driver for tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import give_up

from ireko.drivers.base import StandaloneSpec
from ireko.drivers.qemu import domain, existing, libvirt, standalone
from ireko.errors import AlreadyThere, InvalidInput, ProgramFailed, ProgramMissing, Unavailable, Unsupported
from ireko.model.image import Hardware

KNOWN = "箱 'a', \"b\""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Callable[..., StandaloneSpec]) -> Path:
    """A libvirt that knows one machine, which has been started; the folder with that machine's disk."""
    if shutil.which("virsh") is None:
        give_up("libvirt's program is not installed: sudo apt-get install libvirt-clients")
    folder = tmp_path / "known"
    folder.mkdir()
    standalone.write(machine(name=KNOWN), folder, accelerator="tcg")
    described = (folder / "domain.xml").read_text().replace('<domain type="qemu">', '<domain type="test">')
    (tmp_path / "host.xml").write_text(f"<node>{described}</node>")
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", f"test://{tmp_path}/host.xml")
    return folder


async def test_a_machine_by_its_name(known: Path) -> None:
    found = await existing.find(KNOWN)
    assert found is not None
    assert found.name == KNOWN
    assert [each.path for each in found.disks] == [known / "disk.qcow2"]
    assert found.running


@pytest.mark.parametrize("name", ["nobody", "-x", "--help", "", "a\0"])
@pytest.mark.usefixtures("known")
async def test_names_that_it_doesn_t_know(name: str) -> None:
    assert await existing.find(name) is None


@pytest.mark.usefixtures("known")
async def test_what_can_be_registered(machine: Callable[..., StandaloneSpec]) -> None:
    await libvirt.check_register(machine(name="fresh"))
    await libvirt.check_register(machine(name="fresh", sector_size=4096))
    with pytest.raises(AlreadyThere, match=KNOWN):
        await libvirt.check_register(machine(name=KNOWN))
    with pytest.raises(Unsupported, match="vhdx"):
        await libvirt.check_register(machine(name="fresh", format="vhdx"))
    with pytest.raises(Unsupported, match="sectors of 4096 bytes"):
        await libvirt.check_register(machine(name="fresh", sector_size=4096, hardware=Hardware.COMMON))
    with pytest.raises(InvalidInput):
        await libvirt.check_register(machine(name="a/b"))


@pytest.mark.usefixtures("known")
async def test_registering(tmp_path: Path, machine: Callable[..., StandaloneSpec]) -> None:
    standalone.write(machine(), tmp_path, accelerator="tcg")
    await libvirt.register(machine(), tmp_path / domain.FILE)
    (tmp_path / domain.FILE).write_text("<domain/>")
    with pytest.raises(ProgramFailed, match="virsh"):
        await libvirt.register(machine(), tmp_path / domain.FILE)


@pytest.mark.usefixtures("known")
async def test_a_libvirt_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", f"qemu+unix:///system?socket={tmp_path}/nobody")
    with pytest.raises(Unavailable, match="web"):
        await libvirt.state("web")


async def test_a_host_without_libvirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match="web") as caught:
        await existing.find("web")
    assert "libvirt-clients" in caught.value.hint
