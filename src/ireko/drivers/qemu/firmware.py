"""UEFI firmware, as distributions describe it to whoever runs QEMU.

https://www.qemu.org/docs/master/interop/firmware-json.html: each file describes one firmware. Of the files in all folders
those with one name count as one, which the folder of the highest rank has; the names' order is the order of preference.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ireko.errors import Unsupported

PACKAGE_HINT = "sudo apt-get install ovmf"
_MACHINE = "pc-q35-"
_ARCHITECTURE = "x86_64"
_REFUSED = frozenset({"secure-boot", "enrolled-keys", "requires-smm"})  # boots only what its keys have signed
_FORMATS = frozenset({"raw", "qcow2"})


class FirmwareFile(msgspec.Struct, frozen=True):
    """A file of a firmware, and the disk format it is in."""

    filename: str
    format: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.filename)


class Firmware(msgspec.Struct, frozen=True):
    """`code` is only read; each machine has its own copy of `variables`."""

    code: FirmwareFile
    variables: FirmwareFile


class _Mapping(msgspec.Struct, rename="kebab"):
    device: str
    executable: FirmwareFile | None = None
    nvram_template: FirmwareFile | None = None


class _Target(msgspec.Struct):
    architecture: str
    machines: list[str]


class _Description(msgspec.Struct, rename="kebab"):
    interface_types: list[str]
    mapping: _Mapping
    targets: list[_Target]
    features: list[str] = []


def folders() -> tuple[Path, ...]:
    """Where descriptions are, the highest rank first: the user's, the administrator's, the distribution's."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return own / "qemu/firmware", Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware")


def find(places: Sequence[Path] | None = None) -> Firmware | None:
    """The preferred firmware that boots any system on our kind of machine; None when there is none."""
    named: dict[str, Path] = {}
    for folder in places if places is not None else folders():
        for path in folder.glob("*.json"):
            named.setdefault(path.name, path)
    found = (_read(path) for _, path in sorted(named.items()))
    return next((each for each in found if each is not None), None)


def needed(name: str, places: Sequence[Path] | None = None) -> Firmware:
    """The same for a machine that can't do without. Raises Unsupported, with the package to install."""
    found = find(places)
    if found is None:
        raise Unsupported(f'"{name}" boots by UEFI, and there is no such firmware on this host', hint=PACKAGE_HINT)
    return found


def provide(template: FirmwareFile, path: Path) -> None:
    """Have a machine's own variables at a path: those that are there, unless they belong to another firmware.

    Raises OSError.
    """
    fresh = template.path.read_bytes()
    if not path.exists() or path.stat().st_size != len(fresh):
        path.touch(mode=0o600)
        path.write_bytes(fresh)


def _read(path: Path) -> Firmware | None:
    """What a file describes, when we can use it. An empty one hides those of its name with a lower rank."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Description)
    except (OSError, msgspec.MsgspecError):
        return None
    code, variables = found.mapping.executable, found.mapping.nvram_template
    if not _fits(found) or code is None or variables is None:
        return None
    known = {code.format, variables.format} <= _FORMATS
    return Firmware(code, variables) if known and code.path.is_file() and variables.path.is_file() else None


def _fits(found: _Description) -> bool:
    ours = any(
        target.architecture == _ARCHITECTURE
        and any(fnmatch.fnmatch(f"{_MACHINE}9.9", each) for each in target.machines)
        for target in found.targets
    )
    flash = found.mapping.device == "flash" and "uefi" in found.interface_types
    return ours and flash and _REFUSED.isdisjoint(found.features)
