"""What is taken out of a kernel package: the ELF image, and the modules in the order in which they can be loaded."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ireko.errors import Damaged, NotFound, Unsupported
from ireko.recipes import kernel
from ireko.recipes.kernel import Modules

ELF = b"\x7fELF" + bytes(range(256)) * 40


def bzimage(payload: bytes, size: int, *, setup_sectors: int = 3) -> bytes:
    """A boot image as docs.kernel.org/arch/x86/boot.html describes it, with little but a payload."""
    offset = 64
    image = bytearray((setup_sectors + 1) * 512 + offset)
    image[0x1F1] = setup_sectors
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, offset, len(payload) + 4)
    return bytes(image) + payload + struct.pack("<I", size)


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
    ids=["gzip", "xz", "lzma"],
)
def test_the_image_in_a_boot_image(pack: Callable[[bytes], bytes]) -> None:
    assert kernel.elf(bzimage(pack(ELF), len(ELF))) == ELF


def test_what_is_no_kernel() -> None:
    with pytest.raises(Damaged, match="bzImage"):
        kernel.elf(bytes(4096))
    with pytest.raises(Damaged, match="ELF"):
        kernel.elf(bzimage(gzip.compress(b"other"), 5))
    with pytest.raises(Damaged, match="promised"):
        kernel.elf(bzimage(gzip.compress(ELF), len(ELF) + 1))
    with pytest.raises(Unsupported, match="64657363"):
        kernel.elf(bzimage(b"description", 11))


def module(folder: Path, name: str, depends: str, tail: bytes = b"") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ko").write_bytes(b"\x7fELF...\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0" + tail)


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    module(tmp_path / "drivers", "virtio-pci", "virtio_ring,virtio")
    module(tmp_path / "core", "virtio_ring", "")
    module(tmp_path / "core", "virtio", "virtio-ring")
    module(tmp_path / "net", "virtio_net", "virtio,failover")
    module(tmp_path / "net", "failover", "")
    found = Modules(tmp_path)
    assert found.with_dependencies(["virtio_pci", "virtio-net"]) == [
        "virtio_ring", "virtio", "virtio_pci", "failover", "virtio_net",
    ]  # fmt: skip
    with pytest.raises(NotFound, match="no_such"):
        found.with_dependencies(["no_such"])


def test_a_signature_is_taken_off(tmp_path: Path) -> None:
    signature = bytes(300)
    trailer = bytes(8) + struct.pack(">I", len(signature)) + b"~Module signature appended~\n"
    module(tmp_path, "plain", "")
    module(tmp_path, "signed", "", signature + trailer)
    found = Modules(tmp_path)
    assert found.content("signed") == found.content("plain") == (tmp_path / "plain.ko").read_bytes()
