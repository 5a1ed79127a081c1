"""Debian's root file system from its packages: mmdebstrap, with what it made before kept in the cache.

mmdebstrap needs root, or subordinate user ids (`newuidmap`), or fakechroot; it takes the first of these that works.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ireko.host import process
from ireko.model.recipe import Progress
from ireko.recipes.filesystem import MOMENT

_FORMAT = 1
"""Raised when the same settings make another file than before."""
_MIRROR = "http://deb.debian.org"
_OPTIONS = (
    "--variant=minbase",
    "--format=tar",
    '--aptopt=Acquire::Languages "none"',
    "--aptopt=Acquire::Retries 3",
    # as Debian's own container images have it: what is read by people is left out, but for the licences
    "--dpkgopt=force-unsafe-io",  # the image gets a file of its own there
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)
_TERMINATION = 30.0  # seconds in which a program that was cut off may unmount and remove what it made
_COUNT = re.compile(r"(\d+) newly installed")
_STEPS = {
    "I: running apt-get update": "fetching the lists of packages",
    "I: downloading packages": "fetching packages",
    "I: extracting archives": "installing packages",
    "I: cleaning": "tidying the root file system",
    "I: creating tarball": "packing the root file system",
}


@dataclass(frozen=True)
class Selection:
    """What goes into a root file system.

    `files` are there before the packages are (path in the system, content); `commands` are run by the new system's own
    /bin/sh when the packages are. `state` stands for what the archive offers at present.
    """

    suite: str
    state: str
    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


async def bootstrap(selection: Selection, *, cache: Path, progress: Progress) -> Path:
    """A tar archive of the root file system, from `cache` when the same was made before.

    The archive is read-only for the caller. An older one, of another state, makes room for it.
    Raises ProgramMissing, ProgramFailed.
    """
    folder = cache / "bootstrap"
    folder.mkdir(parents=True, exist_ok=True)
    name = _digest(selection.suite, sorted(selection.packages), selection.commands, sorted(selection.files.items()))
    place = folder / f"{name}-{_digest(selection.state)}.tar"
    if place.exists():
        return place
    with tempfile.TemporaryDirectory(dir=folder) as half:
        made = Path(half) / "root.tar"
        await _make(selection, made, progress)
        for old in folder.glob(f"{name}-*.tar"):
            if old != place:  # somebody else's, who reads it now
                old.unlink(missing_ok=True)
        made.replace(place)
    return place


async def _make(selection: Selection, target: Path, progress: Progress) -> None:
    narrator = Narrator(progress)
    await process.run(
        "mmdebstrap",
        "--verbose",
        *_OPTIONS,
        *(f"--setup-hook={_writing(path, text)}" for path, text in sorted(selection.files.items())),
        *(f'--customize-hook=chroot "$1" /bin/sh -c {shlex.quote(command)}' for command in selection.commands),
        f"--include={','.join(sorted(selection.packages))}",
        *(selection.suite, target),
        *_sources(selection.suite),
        env=_environment(),
        on_line=narrator.hear,
        grace=_TERMINATION,
    )


def _sources(suite: str) -> Iterator[str]:
    yield f"deb {_MIRROR}/debian {suite} main"
    yield f"deb {_MIRROR}/debian {suite}-updates main"
    yield f"deb {_MIRROR}/debian-security {suite}-security main"


def _writing(path: str, text: str) -> str:
    """A shell command that writes a file into the root file system `$1`."""
    folder, target = shlex.quote(str(Path(path).parent)), shlex.quote(path)
    return f'mkdir -p "$1"{folder} && printf %s {shlex.quote(text)} > "$1"{target}'


def _environment() -> dict[str, str]:
    """The user's own, for proxies; in plain English, and with times that are the same in each build."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(MOMENT)}


def _digest(*parts: object) -> str:
    text = json.dumps([_FORMAT, _OPTIONS, *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Narrator:
    """Tells what mmdebstrap does from what it, apt and dpkg say."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._packages: int | None = None
        self._fetched = self._steps = 0

    def hear(self, line: str) -> None:
        """A line of standard error."""
        word = line.partition(":" if line.startswith("Get:") else " ")[0]
        if match := _COUNT.search(line):
            self._packages, self._fetched, self._steps = int(match[1]), 0, 0
        elif word == "Get" and self._packages:
            self._fetched += 1
            self._progress("fetching packages", self._fetched, self._packages)
        elif word in {"Unpacking", "Setting"} and self._packages:
            self._steps += 1  # each package is unpacked, then set up
            self._progress("installing packages", self._steps, 2 * self._packages)
        else:
            for begin, step in _STEPS.items():
                if line.startswith(begin):
                    self._progress(step, None, None)
