"""Machines that others made, from libvirt's descriptions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ireko.drivers.base import ExistingDisk
from ireko.drivers.qemu import existing
from ireko.errors import Damaged, Unsupported
from ireko.model.image import GIB, Hardware

PLAIN = """
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/disks/a.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
"""


def described(devices: str = PLAIN, boot: str = "", more: str = "<memory unit='GiB'>2</memory><vcpu>4</vcpu>") -> str:
    system = boot or "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
    return f"<domain type='kvm'><name>box</name>{more}{system}<devices>{devices}</devices></domain>"


def disk(path: str, *, target: str = "sda", bus: str = "sata", more: str = "", device: str = "disk") -> str:
    return (
        f"<disk type='file' device='{device}'><driver name='qemu' type='raw'/><source file='{path}'/>"
        f"<target dev='{target}' bus='{bus}'/>{more}</disk>"
    )


def test_a_machine() -> None:
    found = existing.read(described(), source="it")
    assert (found.name, found.cpus, found.memory, found.generation) == ("box", 4, 2 * GIB, 1)
    assert found.disks == (ExistingDisk(Path("/disks/a.qcow2"), "qcow2", 512),)
    assert found.hardware is Hardware.VIRTUAL
    assert not found.running


def test_disks_come_as_they_are_booted_from() -> None:
    devices = (
        disk("/1", more="<boot order='2'/>")
        + disk("/2")
        + disk("/3", more="<boot order='1'/>", bus="virtio")
        + disk("/cd", device="cdrom", more="<boot order='1'/>")
        + disk("/floppy", device="floppy")
        + "<disk type='file' device='cdrom'><target dev='sdz' bus='sata'/></disk>"
    )
    found = existing.read(described(devices), source="it")
    assert [str(each.path) for each in found.disks] == ["/3", "/1", "/2"]
    assert found.hardware is Hardware.VIRTUAL


@pytest.mark.parametrize(
    ("devices", "wanted"),
    [
        ("<disk type='block'><source dev='/dev/vg/a'/><target dev='hda' bus='ide'/></disk>", ("/dev/vg/a", "raw")),
        ("<disk><driver type='vpc'/><source file='/a.vhd'/><target dev='hda' bus='ide'/></disk>", ("/a.vhd", "vhd")),
        ("<disk><driver type='vmdk'/><source file='/a'/><target dev='sda' bus='scsi'/></disk>", ("/a", "vmdk")),
        ("<disk device='lun'><source file='/a'/><target dev='sda'/></disk>", ("/a", "raw")),
    ],
)
def test_disks_of_other_kinds(devices: str, wanted: tuple[str, str]) -> None:
    found = existing.read(described(devices), source="it")
    assert [(str(each.path), each.format) for each in found.disks] == [wanted]
    assert found.hardware is Hardware.COMMON


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ("<blockio logical_block_size='4096' physical_block_size='4096'/>", 4096),
        ("<blockio physical_block_size='4096'/>", 512),
        ("<blockio logical_block_size='512'/>", 512),
        ("<blockio logical_block_size='0'/>", 512),
    ],
)
def test_sectors(more: str, size: int) -> None:
    found = existing.read(described(disk("/1", bus="virtio", more=more)), source="it")
    assert [each.sector_size for each in found.disks] == [size]


@pytest.mark.parametrize(
    ("boot", "generation"),
    [
        ("<os><type>hvm</type></os>", 1),
        ("<os firmware='efi'><type arch='x86_64'>hvm</type></os>", 2),
        ("<os firmware='bios'><type>hvm</type><loader type='rom'>/usr/share/ovmf/OVMF.fd</loader></os>", 1),
        ("<os><type>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/CODE.fd</loader></os>", 2),
        ("<os><type>hvm</type><loader>/usr/share/ovmf/OVMF.fd</loader></os>", 2),
        ("<os><type>hvm</type><loader type='rom'>/usr/share/seabios/bios.bin</loader></os>", 1),
    ],
)
def test_generations(boot: str, generation: int) -> None:
    assert existing.read(described(boot=boot), source="it").generation == generation


@pytest.mark.parametrize(
    ("more", "memory", "cpus"),
    [
        ("<memory>1048576</memory><vcpu>1</vcpu>", GIB, 1),
        ("<memory unit='b'>1073741824</memory><vcpu current='2'>8</vcpu>", GIB, 2),
        ("<memory unit='k'>1024</memory>", 1 << 20, 1),
        ("<memory unit='KB'>1000</memory>", 1_000_000, 1),
        ("<memory unit='MB'>1</memory>", 1_000_000, 1),
        ("<memory unit='M'> 1 </memory><vcpu>\n 3 </vcpu>", 1 << 20, 3),
        ("<memory unit='TiB'>1</memory>", 1 << 40, 1),
    ],
)
def test_units(more: str, memory: int, cpus: int) -> None:
    found = existing.read(described(more=more), source="it")
    assert (found.memory, found.cpus) == (memory, cpus)


def test_a_snapshot_s_description_has_the_machine_inside() -> None:
    found = existing.read(f"<domainsnapshot>{described()}</domainsnapshot>", source="it")
    assert found.name == "box"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no markup",
        "<domain>",
        "<network/>",
        "<domainsnapshot/>",
        described(more=""),
        described(more="<memory unit='ZiB'>1</memory>"),
        described(more="<memory>-1</memory>"),
        described(more="<memory>" + "9" * 30 + "</memory>"),
        described(more="<memory>1</memory><vcpu>many</vcpu>"),
        described(disk("/1", more="<boot order='first'/>")),
        described(disk("/1", more="<blockio logical_block_size='many'/>")),
        "<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>&a;</name></domain>",
        "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><domain>&c;</domain>",
    ],
)
def test_what_is_no_description(text: str) -> None:
    with pytest.raises(Damaged, match="it "):
        existing.read(text, source="it ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (described(devices=""), "no disk"),
        (described(disk("/cd", device="cdrom")), "no disk"),
        (described("<disk type='network'><source protocol='rbd' name='a'/><target dev='vda'/></disk>"), "network"),
        (described("<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>"), "volume"),
        (described(disk("/1", more="<blockio logical_block_size='2048'/>")), "2048"),
        (described(boot="<os><type arch='aarch64'>hvm</type></os>"), "aarch64"),
        (described(boot="<os><type>hvm</type><kernel>/vmlinuz</kernel></os>"), "kernel"),
    ],
)
def test_machines_that_can_t_be_taken(text: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        existing.read(text, source="it")


async def test_by_path(tmp_path: Path) -> None:
    (tmp_path / "domain.xml").write_text(described())
    for written in tmp_path, tmp_path / "domain.xml":
        found = await existing.find(str(written))
        assert found is not None
        assert found.name == "box"
    other = tmp_path / "exported"
    other.write_text(described())
    assert await existing.find(str(other)) == found


async def test_a_folder_that_was_moved(tmp_path: Path) -> None:
    (tmp_path / "domain.xml").write_text(described(PLAIN + disk("b.raw") + disk("/elsewhere/c.raw")))
    (tmp_path / "a.qcow2").touch()
    found = await existing.find(str(tmp_path))
    assert found is not None
    assert [each.path for each in found.disks] == [tmp_path / "a.qcow2", tmp_path / "b.raw", Path("/elsewhere/c.raw")]


async def test_paths_where_no_machine_is(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(1000))
    (tmp_path / "empty").mkdir()
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe/domain.xml")
    for written in "disk.qcow2", "empty", "nothing", "disk.qcow2/domain.xml", "pipe", "pipe/domain.xml":
        assert await existing.find(str(tmp_path / written)) is None


async def test_a_description_without_end(tmp_path: Path) -> None:
    path = tmp_path / "domain.xml"
    path.write_bytes(b"<domain>")
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(Damaged, match="larger"):
        await existing.find(str(path))
