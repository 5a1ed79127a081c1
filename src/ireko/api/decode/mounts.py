"""Mounts: `-v`'s words, `--mount`'s objects and volumes without a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ireko.api.decode import bodies
from ireko.errors import InvalidInput, Unsupported
from ireko.model.container import Mount, MountKind

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_HARMLESS = {
    "z", "Z", "nocopy", "cached", "delegated", "consistent",
    "shared", "rshared", "slave", "rslave", "private", "rprivate",
}  # fmt: skip
"""Options that say nothing to a machine: labels, caches and propagation are the host's."""


def mounts(binds: Iterable[str], asked: Iterable[bodies.Mount], unnamed: Iterable[str]) -> Iterator[Mount]:
    """All mounts of a container; a path that is mounted otherwise gets no unnamed volume. Raises InvalidInput."""
    taken = set()
    for mount in (*map(_bind, binds), *map(_mount, asked)):
        taken.add(mount.target)
        yield mount
    for target in unnamed:
        if target not in taken:
            yield Mount(MountKind.VOLUME, "", target)


def _bind(word: str) -> Mount:
    """`source:target[:options]`; an absolute source is a host path, any other a volume's name."""
    start = 2 if _DRIVE.match(word) else 0
    parts = word[start:].split(":")
    if len(parts) == 1 and not start:
        return Mount(MountKind.VOLUME, "", word)
    if len(parts) not in {2, 3} or not all(parts[:2]):
        raise InvalidInput(f'invalid volume specification: "{word}"', hint="SOURCE:TARGET or SOURCE:TARGET:ro")
    source, target = word[:start] + parts[0], parts[1]
    read_only = _read_only(word, parts[2] if len(parts) == 3 else "")
    return Mount(MountKind.BIND if _is_path(source) else MountKind.VOLUME, source, target, read_only)


def _is_path(source: str) -> bool:
    return source.startswith("/") or _DRIVE.match(source) is not None


def _read_only(word: str, options: str) -> bool:
    given = set(options.split(",")) - {""}
    if unknown := given - _HARMLESS - {"ro", "rw"}:
        raise InvalidInput(f'invalid volume specification: "{word}": invalid mode: {min(unknown)}')
    if {"ro", "rw"} <= given:
        raise InvalidInput(f'invalid volume specification: "{word}": it is both ro and rw')
    return "ro" in given


def _mount(mount: bodies.Mount) -> Mount:
    source, target, kind = mount.source or "", mount.target or "", mount.type or "volume"
    if not target:
        raise InvalidInput("invalid mount config: the target is missing")
    if kind == "bind" and not source:
        raise InvalidInput('invalid mount config for type "bind": field Source must not be empty')
    if kind not in {"bind", "volume"}:
        raise Unsupported(f'mounts of the type "{kind}" are not supported', hint="bind or volume")
    return Mount(MountKind(kind), source, target, bool(mount.read_only))
