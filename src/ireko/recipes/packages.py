"""Debian's packages, fetched and unpacked without installing them: apt with a state of its own, so nobody needs to be root."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from ireko.errors import NotFound, ProgramFailed
from ireko.host import process

_FRESH = 24 * 3600.0  # seconds for which lists of packages are not fetched anew
_ARCHITECTURE = "amd64"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = """\
deb [signed-by={keyring}] http://deb.debian.org/debian {suite} main
deb [signed-by={keyring}] http://deb.debian.org/debian {suite}-updates main
deb [signed-by={keyring}] http://security.debian.org/debian-security {suite}-security main
"""
_CHECKSUM = re.compile(r"^ ([0-9a-f]{64}) +\d+ main/binary-amd64/Packages$", re.MULTILINE)
_DEPENDS = re.compile(r"^Depends: (\S+)", re.MULTILINE)


class Archive:
    """The packages of one Debian suite. `cache` is a folder that is kept; what is in it need not be fetched again."""

    def __init__(self, suite: str, cache: Path) -> None:
        self._suite = suite
        self._folder = cache.absolute() / "apt" / suite
        self._packages = self._folder / "packages"
        self._unpacked = self._folder / "unpacked"

    async def refresh(self) -> None:
        """Have lists that are not older than a day; older ones will do where the archive can't be reached.

        Raises ProgramFailed, ProgramMissing.
        """
        stamp = self._folder / "fresh"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < _FRESH:
            return
        for folder in (self._folder / "lists" / "partial", self._packages / "partial", self._unpacked):
            folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        try:
            await self._apt("apt-get", "update")
        except ProgramFailed:
            if not stamp.exists():
                raise
            return
        stamp.touch()

    def state(self) -> str:
        """Stands for what the lists offer: another text when a package of the suite has changed. To be called after `refresh`."""
        digest = hashlib.sha256()
        for path in sorted((self._folder / "lists").glob(f"*_dists_{self._suite}*_InRelease")):
            found = _CHECKSUM.findall(path.read_text(encoding="utf-8", errors="replace"))
            digest.update(f"{path.name} {found}\n".encode())
        return digest.hexdigest()

    async def meaning(self, name: str) -> str:
        """The package that a package without content stands for (its first dependency). Raises NotFound."""
        shown = (await self._apt("apt-cache", "show", "--no-all-versions", name)).decode(errors="replace")
        match = _DEPENDS.search(shown)
        if match is None:
            raise NotFound(f'the package "{name}" of {self._suite} depends on nothing')
        return match[1].rstrip(",")

    async def unpack(self, names: Iterable[str]) -> dict[str, Path]:
        """Fetch packages, without what they depend on; each one's folder, named `NAME_VERSION_ARCHITECTURE`, with its files.

        Raises NotFound, ProgramFailed, ProgramMissing.
        """
        wanted = await self._file_names(tuple(names))
        missing = [name for name, file_name in wanted.items() if not (self._packages / file_name).exists()]
        if missing:
            # into a folder of its own, so that what is cut off is not taken for whole
            with tempfile.TemporaryDirectory(dir=self._packages) as half:
                await self._apt("apt-get", "download", *missing, cwd=Path(half))
                for name in missing:
                    (Path(half) / wanted[name]).replace(self._packages / wanted[name])
        return {name: await self._unpack(self._packages / file_name) for name, file_name in wanted.items()}

    async def _file_names(self, names: tuple[str, ...]) -> dict[str, str]:
        """What the packages' files are called. Raises NotFound."""
        # in a folder without the packages: what is there already is not told
        said = await self._apt("apt-get", "download", "--print-uris", *names)
        found = {line.split()[1].partition("_")[0]: line.split()[1] for line in said.decode().splitlines() if line}
        for name in names:
            if name not in found:
                raise NotFound(f'there is no package "{name}" in {self._suite}')
        return {name: found[name] for name in names}

    async def _unpack(self, package: Path) -> Path:
        place = self._unpacked / package.stem
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=self._unpacked) as half:
                await process.run("dpkg-deb", "--extract", package, Path(half) / place.name)
                with contextlib.suppress(OSError):  # another recipe was quicker
                    (Path(half) / place.name).rename(place)
        return place

    async def _apt(self, *argv: str, cwd: Path | None = None) -> bytes:
        program, *words = argv
        done = await process.run(program, *self._options(), *words, cwd=cwd or self._folder)
        return done.stdout

    def _options(self) -> tuple[str, ...]:
        options = {
            "Dir::State": self._folder,
            "Dir::State::status": self._folder / "status",
            "Dir::State::lists": self._folder / "lists",
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": self._packages,
            "APT::Architecture": _ARCHITECTURE,
            "APT::Sandbox::User": "",  # it writes into a folder that is private to us
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            **self._sources(),
        }
        return ("-q", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))

    def _sources(self) -> dict[str, str | Path]:
        """A host of the same suite knows best where its packages are; another gets Debian's own addresses."""
        if _host_suite() == self._suite:
            return {}
        sources = self._folder / "sources.list"
        sources.write_text(_SOURCES.format(suite=self._suite, keyring=_KEYRING), encoding="ascii")
        return {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-"}


def _host_suite() -> str:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return found.get("VERSION_CODENAME", "").strip('"') if found.get("ID", "").strip('"') == "debian" else ""
