"""Machines to write down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.conftest import give_up

from ireko.drivers.base import StandaloneSpec
from ireko.drivers.qemu import firmware
from ireko.model.container import PortMapping
from ireko.model.image import MIB

ODD = "日本 \"q\" 'x', a=b & <c>;$HOME `id` \\"


@pytest.fixture
def machine() -> Callable[..., StandaloneSpec]:
    """A machine, of which some things are as the caller wants them."""

    def make(**changes: Any) -> StandaloneSpec:
        plain = StandaloneSpec(
            name="web",
            disk="disk.qcow2",
            format="qcow2",
            cpus=1.5,
            memory=512 * MIB,
            generation=1,
            ports=(PortMapping(80, host_ip="127.0.0.1", host_port=8080),),
            mac="52:54:00:11:22:33",
            origin='the container "web" of the image "debian:12"',
        )
        return replace(plain, **changes)

    return make


@pytest.fixture
def uefi_machine(machine: Callable[..., StandaloneSpec]) -> StandaloneSpec:
    """A machine that boots by UEFI."""
    if firmware.find() is None:
        give_up(f"there is no UEFI firmware: {firmware.PACKAGE_HINT}")
    return machine(generation=2)


@pytest.fixture
def command_machine(machine: Callable[..., StandaloneSpec]) -> StandaloneSpec:
    """A machine that boots with a kernel and runs a command."""
    return machine(kernel="kernel", initrd="initrd", append='quiet say="a b"', seed="seed.tar")
