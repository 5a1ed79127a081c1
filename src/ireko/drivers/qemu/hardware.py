"""The devices that a guest sees: the hypervisor's own, or those of a real computer."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.model.image import Hardware

_BUILT_IN_PORTS = 6  # of the disk controller that is part of the q35 machine
_CONTROLLER = "ich9-ahci"


def controllers(hardware: Hardware, disks: int) -> Iterator[str]:
    """The disk controllers that so many disks need besides what the machine has, as `-device` takes them."""
    if hardware is Hardware.COMMON:
        for number in range(1, -(-disks // _BUILT_IN_PORTS)):
            yield f"{_CONTROLLER},id=ahci{number}"


def disk(hardware: Hardware, number: int, *, read_only: bool = False) -> str:
    """The kind of device for the disk of this number, the first being 0, and where it is attached.

    A disk that can't be written to is always the hypervisor's own device, as a real one knows no such thing.
    """
    if hardware is Hardware.VIRTUAL or read_only:
        return "virtio-blk-pci"
    controller, port = divmod(number, _BUILT_IN_PORTS)
    return f"ide-hd,bus={f'ahci{controller}' if controller else 'ide'}.{port}"


def network(hardware: Hardware) -> str:
    """The kind of network device. None of them loads a boot program from the network."""
    return f"{'e1000e' if hardware is Hardware.COMMON else 'virtio-net-pci'},netdev=net,romfile="
