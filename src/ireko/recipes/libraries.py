"""The shared libraries that programs need, found as the loader would find them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from ireko.errors import NotFound

_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")
LOADER = "ld-linux-x86-64.so.2"


def needed(program: Path, roots: Iterable[Path]) -> dict[str, Path]:
    """The libraries of a program, by the name they are loaded by, from the unpacked packages `roots`. Raises NotFound."""
    folders = [root / folder for root in roots for folder in _FOLDERS]
    found: dict[str, Path] = {LOADER: _find(LOADER, folders)}
    waiting = [program]
    while waiting:
        for name in _names(waiting.pop()):
            if name not in found:
                found[name] = _find(name, folders)
                waiting.append(found[name])
    return found


def _find(name: str, folders: Iterable[Path]) -> Path:
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise NotFound(f'the library "{name}" is in none of the packages')


def _names(program: Path) -> Iterator[str]:
    with program.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".dynamic")
        if isinstance(section, DynamicSection):
            # the library sets this attribute when it meets the tag
            yield from (vars(tag)["needed"] for tag in section.iter_tags("DT_NEEDED"))
