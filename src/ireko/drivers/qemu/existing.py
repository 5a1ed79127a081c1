"""Machines that are not ours, from libvirt's descriptions of them. What is in one is data from a stranger."""

from __future__ import annotations

import asyncio
import math
import re
import stat
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePath

from ireko.drivers.base import ExistingDisk, ExistingMachine
from ireko.drivers.qemu import domain, libvirt
from ireko.errors import Damaged, Denied, Unsupported
from ireko.model.image import NATIVE_SECTOR, SECTOR, Hardware

_LARGEST = 1 << 20  # bytes of a description, which become a hundred times as many; a real one has some thousand
_ARCHITECTURES = frozenset({"x86_64", "i686"})
_UEFI_NAMES = ("ovmf", "edk2", "uefi")
_NUMBER = re.compile(r"[0-9]{1,18}")
_UNITS: dict[str, int] = {
    **dict.fromkeys(("b", "bytes"), 1),
    **{f"{letter}B": 1000**n for n, letter in enumerate("KMGTPE", 1)},
    **{f"{letter}iB": 1024**n for n, letter in enumerate("KMGTPE", 1)},
    **{letter: 1024**n for n, letter in enumerate("KMGTPE", 1)},
    "k": 1024,
}


async def find(written: str) -> ExistingMachine | None:
    """By libvirt's name for it, or by the absolute path of a description or of a folder that has one.

    None when there is none. Raises Damaged, Unsupported, Denied; for a name what libvirt.description raises.
    """
    if not written or "\0" in written:
        return None
    path = Path(written)
    if path.is_absolute():
        return await asyncio.to_thread(_of_path, path)
    text = await libvirt.description(written)
    if text is None:
        return None
    return read(text, source=f'libvirt\'s description of "{written}"', running=await libvirt.runs(written))


def read(text: str, *, source: str, folder: Path | None = None, running: bool = False) -> ExistingMachine:
    """The machine of a description. `source` names it in errors; files may be in the `folder` where it was found.

    Raises Damaged, Unsupported.
    """
    root = _parse(text, source)
    boot = root.find("os")
    boot = ET.Element("os") if boot is None else boot
    _check_boot(boot, source)
    disks = [disk for _, disk in sorted(_disks(root, source), key=lambda each: each[0])]
    if not disks:
        raise Unsupported(f"{source} has no disk with anything on it")
    return ExistingMachine(
        name=root.findtext("name", "").strip(),
        disks=tuple(_disk(disk, source, folder) for disk in disks),
        cpus=_processors(root, source),
        memory=_memory(root, source),
        generation=2 if _boots_by_uefi(boot) else 1,
        hardware=_hardware(disks[0]),
        running=running,
    )


def _of_path(path: Path) -> ExistingMachine | None:
    description = path / domain.FILE if path.is_dir() else path
    try:
        if not stat.S_ISREG(description.stat().st_mode):  # a named pipe would be waited for without end
            return None
        with description.open("rb") as file:
            start = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Denied(f'"{description}" can\'t be read: {error.strerror or error}') from error
    if description.suffix != ".xml" and not start.lstrip().startswith(b"<"):
        return None  # a disk, for one
    if len(start) > _LARGEST:
        raise Damaged(f'"{description}" is larger than any description of a machine: more than {_LARGEST} bytes')
    text = start.decode("utf-8", errors="replace")
    return read(text, source=f'"{description}"', folder=description.parent)


class _Plain(ET.TreeBuilder):
    """Takes elements and text; a document that declares its own words may make much of little, or read files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser before it reads the declarations."""
        del pubid, system
        raise Damaged(f'it declares a document type "{name}", which no description of a machine does')


def _parse(text: str, source: str) -> ET.Element:
    parser = ET.XMLParser(target=_Plain())  # noqa: S314 - nothing is declared in it, and its length is limited
    try:
        parser.feed(text)
        root = parser.close()
    except Damaged as error:
        raise Damaged(f"{source} can't be read: {error.message}") from error
    except (ET.ParseError, ValueError) as error:
        raise Damaged(f"{source} can't be read: {error}") from error
    if root.tag not in {"domain", "domstatus", "domainsnapshot"}:
        raise Damaged(f"{source} is no description of a machine by libvirt")
    inner = root if root.tag == "domain" else root.find("domain")
    if inner is None:
        raise Damaged(f"{source} describes no machine")
    return inner


def _check_boot(boot: ET.Element, source: str) -> None:
    kind = boot.find("type")
    architecture = kind.get("arch", "x86_64") if kind is not None else "x86_64"
    if architecture not in _ARCHITECTURES:
        raise Unsupported(f'{source} has a machine for "{architecture}"; only x86_64 can be run')
    if boot.find("kernel") is not None:
        raise Unsupported(
            f"{source} has a machine that boots a kernel from outside of its disk, which an image of it would not have",
            hint="import its disk instead, and say which image has such a kernel: ireko image import --like IMAGE DISK",
        )


def _disks(root: ET.Element, source: str) -> Iterator[tuple[tuple[float, int], ET.Element]]:
    """The disks with content, each with its place in the order in which they are booted from."""
    for number, disk in enumerate(root.findall("devices/disk")):
        if disk.get("device", "disk") not in {"disk", "lun"} or disk.find("source") is None:
            continue
        order = disk.find("boot")
        place = math.inf if order is None else _number(order.get("order", ""), source)
        yield (place, number), disk


def _disk(disk: ET.Element, source: str, folder: Path | None) -> ExistingDisk:
    origin = disk.find("source")
    assert origin is not None
    kind = disk.get("type", "file")
    written = origin.get({"file": "file", "block": "dev"}.get(kind, ""), "")
    if not written:
        raise Unsupported(
            f'{source} has a disk of the type "{kind}"; only files and block devices can be read',
            hint="copy it to a file, and import that: ireko image import",
        )
    driver = disk.find("driver")
    name = driver.get("type", "raw") if driver is not None else "raw"  # libvirt never looks into a disk for it
    return ExistingDisk(_place(Path(written), folder), domain.FORMATS.get(name, name), _sector_size(disk, source))


def _sector_size(disk: ET.Element, source: str) -> int:
    """What its guest sees, whatever the file says: those that QEMU has by itself, or as it is said."""
    sizes = disk.find("blockio")
    size = 0 if sizes is None else _number(sizes.get(domain.BLOCK_SIZES[0], "0"), source)
    if size not in {0, SECTOR, NATIVE_SECTOR}:
        raise Unsupported(
            f"{source} has a disk with sectors of {size} bytes; there are {SECTOR} and {NATIVE_SECTOR} here"
        )
    return size or SECTOR


def _place(path: Path, folder: Path | None) -> Path:
    """Where a disk is: as written, or beside the description with which it was moved."""
    if folder is None:
        return path
    beside = folder / path.name
    return beside if not path.is_absolute() or (not path.exists() and beside.exists()) else path


def _processors(root: ET.Element, source: str) -> float:
    element = root.find("vcpu")
    if element is None:
        return 1.0
    return float(max(1, _number(element.get("current") or element.text or "", source)))


def _memory(root: ET.Element, source: str) -> int:
    element = root.find("memory")
    if element is None:
        raise Damaged(f"{source} does not say how much memory the machine has")
    unit = element.get("unit", "KiB")
    if unit not in _UNITS:
        raise Damaged(f'{source} has an unknown unit of memory: "{unit}"')
    return _number(element.text or "", source) * _UNITS[unit]


def _number(text: str, source: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise Damaged(f'{source} has "{text.strip()[:40]}" where a number must be')
    return int(text)


def _boots_by_uefi(boot: ET.Element) -> bool:
    if boot.get("firmware"):
        return boot.get("firmware") == "efi"
    loader = boot.find("loader")
    if loader is None:
        return False
    name = PurePath((loader.text or "").strip()).name.lower()
    return loader.get("type") == "pflash" or any(each in name for each in _UEFI_NAMES)


def _hardware(disk: ET.Element) -> Hardware:
    """What its system is seen to have drivers for: what it boots from."""
    target = disk.find("target")
    bus = target.get("bus", "") if target is not None else ""
    return Hardware.VIRTUAL if bus == "virtio" else Hardware.COMMON
