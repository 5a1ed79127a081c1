"""Debian's kernel package: the ELF image inside its bzImage, and its modules.

QEMU boots an ELF kernel with a PVH entry point directly: nothing is unpacked inside the guest, which takes long without
hardware acceleration. The layout of a bzImage is https://docs.kernel.org/arch/x86/boot.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from ireko.errors import Damaged, NotFound
from ireko.recipes import compression

_SETUP_SECTORS = 0x1F1
_MAGIC_AT, _MAGIC = 0x202, b"HdrS"
_PAYLOAD = 0x248  # offset from the protected-mode code, and length
_SECTOR = 512
_ELF = b"\x7fELF"
_SIGNATURE = b"~Module signature appended~\n"
_SIGNATURE_LENGTH = struct.Struct(">8xI")  # the end of struct module_signature, include/linux/module_signature.h


def elf(bzimage: bytes) -> bytes:
    """The ELF kernel in a bzImage. Raises Damaged."""
    if bzimage[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise Damaged("the kernel is no bzImage")
    offset, length = struct.unpack_from("<II", bzimage, _PAYLOAD)
    start = ((bzimage[_SETUP_SECTORS] or 4) + 1) * _SECTOR + offset
    # the payload ends with the size of what it becomes
    (size,) = struct.unpack_from("<I", bzimage, start + length - 4)
    kernel = compression.unpack(bzimage[start : start + length - 4], size)
    if not kernel.startswith(_ELF):
        raise Damaged("the kernel inside the bzImage is no ELF file")
    return kernel


class Modules:
    """The modules of one kernel, from its `lib/modules/VERSION` folder."""

    def __init__(self, folder: Path) -> None:
        self._paths = {_canonical(path.stem): path for path in folder.rglob("*.ko")}

    def with_dependencies(self, names: Iterable[str]) -> list[str]:
        """The names, and before each what it depends on. Raises NotFound."""
        order: list[str] = []
        for name in names:
            self._add(_canonical(name), order)
        return order

    def content(self, name: str) -> bytes:
        """A module without its signature: the guest would take longer to check it than to load it."""
        data = self._read(name)
        if not data.endswith(_SIGNATURE):
            return data
        trailer = len(data) - len(_SIGNATURE) - _SIGNATURE_LENGTH.size
        (length,) = _SIGNATURE_LENGTH.unpack_from(data, trailer)
        return data[: trailer - length]

    def _add(self, name: str, order: list[str]) -> None:
        if name not in order:
            for dependency in _dependencies(self._read(name)):
                self._add(dependency, order)
            order.append(name)

    def _read(self, name: str) -> bytes:
        path = self._paths.get(_canonical(name))
        if path is None:
            raise NotFound(f'the kernel package has no module "{name}"')
        return path.read_bytes()


def _canonical(name: str) -> str:
    return name.replace("-", "_")


def _dependencies(module: bytes) -> list[str]:
    """What the `depends` line of a module's information names."""
    start = module.find(b"\0depends=") + len(b"\0depends=")
    if start < len(b"\0depends="):
        return []
    names = module[start : module.index(b"\0", start)].decode()
    return [_canonical(name) for name in names.split(",") if name]
