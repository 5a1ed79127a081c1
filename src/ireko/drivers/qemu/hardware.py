"""The devices that a guest sees: the hypervisor's own, or those of a real computer."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.model.image import SECTOR, Hardware

_BUILT_IN_PORTS = 6  # of the disk controller that is part of the q35 machine
_CONTROLLER = "ich9-ahci"
_NVME = "nvme"


def controllers(hardware: Hardware, disks: int) -> Iterator[str]:
    """The disk controllers that so many disks need besides what the machine has, as `-device` takes them."""
    if hardware is Hardware.COMMON:
        for number in range(1, -(-disks // _BUILT_IN_PORTS)):
            yield f"{_CONTROLLER},id=ahci{number}"


def disk(hardware: Hardware, number: int, *, read_only: bool = False, sector_size: int = SECTOR) -> str:
    """The kind of device for the disk of this number, the first being 0, where it is attached, and its sectors.

    A disk that can't be written to is always the hypervisor's own device, as a real one knows no such thing. QEMU's SATA disks
    have sectors of 512 bytes, so one with others is an NVMe disk: systems that know such sectors mostly know those, too.
    """
    sectors = "" if sector_size == SECTOR else f",logical_block_size={sector_size},physical_block_size={sector_size}"
    if hardware is Hardware.VIRTUAL or read_only:
        return f"virtio-blk-pci{sectors}"
    if sectors:
        return f"{_NVME}{sectors}"
    controller, port = divmod(number, _BUILT_IN_PORTS)
    return f"ide-hd,bus={f'ahci{controller}' if controller else 'ide'}.{port}"


def can_wait(kind: str) -> bool:
    """Whether QEMU can have a guest wait when a disk of this kind can't be written; NVMe disks only tell of an error."""
    return not kind.startswith(_NVME)


def network(hardware: Hardware) -> str:
    """The kind of network device. None of them loads a boot program from the network."""
    return f"{'e1000e' if hardware is Hardware.COMMON else 'virtio-net-pci'},netdev=net,romfile="
