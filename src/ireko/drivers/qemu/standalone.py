"""A folder that runs a machine without ireko: a start script, a description for libvirt, and a page to read."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

from ireko.drivers.base import StandaloneSpec, Stdio
from ireko.drivers.qemu import domain, firmware, script, storage
from ireko.drivers.qemu.firmware import Firmware
from ireko.errors import AlreadyThere, Unsupported
from ireko.model.image import SECTOR

START = "start.sh"
README = "README.txt"
_PROGRAM_MODE = 0o755
_LINE = 100  # characters


def write(spec: StandaloneSpec, folder: Path, *, accelerator: str) -> tuple[Path, ...]:
    """Write what runs the disk of a folder; `accelerator` is the one that works on this host.

    Raises Unsupported (no firmware, a disk that QEMU can't open), InvalidInput (a name that libvirt can't have), AlreadyThere,
    NoSpace, Denied; then nothing was written.
    """
    _check_disk(spec)
    boots_by_uefi = not spec.kernel and spec.generation == 2
    found = firmware.needed(spec.name) if boots_by_uefi else None
    texts = {START: script.text(spec, found)}
    if not domain.obstacle(spec):
        place = spec.place or folder
        texts[domain.FILE] = domain.text(spec, place, accelerator=accelerator, identity=str(uuid.uuid4()))
    texts[README] = _readme(spec)
    written: list[Path] = []
    with _undone(written):
        for name, text in texts.items():
            _write(folder / name, text, written)
        (folder / START).chmod(_PROGRAM_MODE)
        for name, source in _firmware_files(found):
            _copy(source, folder / name, written)
    return tuple(written)


def _check_disk(spec: StandaloneSpec) -> None:
    if spec.format == "vhdx" and spec.sector_size != SECTOR:
        raise Unsupported(
            f'the disk of "{spec.name}" can\'t be a VHDX: QEMU opens none with sectors of {spec.sector_size} bytes',
            hint="--format qcow2; ireko image export makes a VHDX for Hyper-V",
        )


def _firmware_files(found: Firmware | None) -> Iterator[tuple[str, Path]]:
    if found is not None:
        yield script.CODE, found.code.path
        yield script.VARIABLES, found.variables.path


@contextlib.contextmanager
def _undone(written: list[Path]) -> Iterator[None]:
    """Remove what was written when the rest can't be."""
    try:
        yield
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str, written: list[Path]) -> None:
    with _wrapped(path), path.open("x", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        written.append(path)
        file.write(text)


def _copy(source: Path, path: Path, written: list[Path]) -> None:
    with _wrapped(path), source.open("rb") as original, path.open("xb") as copy:
        written.append(path)
        shutil.copyfileobj(original, copy)


@contextlib.contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise AlreadyThere(f'"{path}" is already there', hint="choose another folder") from error
    except OSError as error:
        raise storage.write_error(path, error) from error


def _readme(spec: StandaloneSpec) -> str:
    paragraphs = [f'The virtual machine "{spec.name}"{f", made from {spec.origin}" if spec.origin else ""}.']
    paragraphs.append(_what(spec))
    paragraphs.append(
        "To start it, with nothing but QEMU (Debian: qemu-system-x86):\n\n    ./start.sh\n\n"
        "Its terminal is the one that you start it in; Ctrl-a x cuts its power. start.sh says at its top what else it knows. "
        "It finds the disk beside itself, so the folder may be moved."
    )
    paragraphs.append(_libvirt(spec))
    return "\n\n".join(map(_wrapped_text, paragraphs)) + "\n"


def _wrapped_text(paragraph: str) -> str:
    """Prose in lines; what is set off is for pasting."""
    parts = paragraph.split("\n\n")
    return "\n\n".join(part if part.startswith("    ") else textwrap.fill(part, _LINE) for part in parts)


def _what(spec: StandaloneSpec) -> str:
    if spec.kernel:
        what = f"runs the one command that {spec.seed} has, and powers off"
        how = f"It boots the kernel {spec.kernel} and {what if spec.stdio is Stdio.TTY else 'starts its own system'}."
    else:
        uefi = f"UEFI ({script.CODE}, which keeps its settings in {script.VARIABLES})"
        how = f"It boots from its disk by {uefi if spec.generation == 2 else 'a BIOS'}, as any computer does."
    return f"{spec.disk} is all of its disk, in the format {spec.format}: it stands on no other file. {how}"


def _libvirt(spec: StandaloneSpec) -> str:
    if why := domain.obstacle(spec):
        return f"{why}, so there is no description for it."
    note = "libvirt publishes no ports for it: give it another network there (virsh edit) when it needs them. "
    terminal = f"Its terminal there: virsh console --devname {domain.TERMINAL}. " if domain.runs_command(spec) else ""
    return (
        "To have libvirt know it (virsh, virt-manager):\n\n    virsh define domain.xml\n\n"
        f"{terminal}{note if spec.ports else ''}"
        "domain.xml names the files by where they were written: after a move, change the paths in it."
    )
