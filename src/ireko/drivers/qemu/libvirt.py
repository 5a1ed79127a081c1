"""What libvirt knows, asked through its own program. Which libvirt that is, LIBVIRT_DEFAULT_URI says."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ireko.drivers.base import StandaloneSpec
from ireko.drivers.qemu import domain
from ireko.errors import AlreadyThere, ProgramFailed, ProgramMissing, TimedOut, Unavailable, Unsupported
from ireko.host import process

_PROGRAM = "virsh"
_LIMIT = 60.0  # seconds; what is asked for takes milliseconds
_UNREACHED = "failed to connect to the hypervisor"
_UNKNOWN = "failed to get domain"
_STOPPED = frozenset({"shut off", "crashed"})
_PACKAGE_HINT = "sudo apt-get install libvirt-clients"


async def check_register(spec: StandaloneSpec) -> None:
    """Raises InvalidInput, Unsupported (the disk), ProgramMissing, Unavailable; AlreadyThere for a name it has."""
    name = spec.name
    domain.check_name(name)
    if why := domain.obstacle(spec):
        formats = sorted(domain.FORMATS.values())
        hint = "" if spec.format in formats else f"choose one of {', '.join(formats)}"
        raise Unsupported(f'"{name}" can\'t be registered: {why}', hint=hint)
    if await state(name) is not None:
        raise AlreadyThere(
            f'libvirt has a machine "{name}" already',
            hint=f"choose another name, or: virsh undefine {shlex.quote(name)}",
        )


async def register(spec: StandaloneSpec, description: Path) -> None:
    """Have it know a machine by its description. Raises what `check_register` raises, ProgramFailed."""
    await check_register(spec)
    await _ask(spec.name, "define", "--file", str(description))


async def state(name: str) -> str | None:
    """How a machine stands, in libvirt's words; None when it has none of this name."""
    said = await _ask_about(name, "domstate")
    return None if said is None else said.strip()


async def runs(name: str) -> bool:
    """Whether it has a machine of this name that has not been shut down."""
    found = await state(name)
    return found is not None and found not in _STOPPED


async def description(name: str) -> str | None:
    """The description of a machine as it stands now; None when it has none of this name."""
    return await _ask_about(name, "dumpxml")


async def _ask_about(name: str, command: str) -> str | None:
    try:
        return await _ask(name, command, "--domain", name)
    except ProgramFailed as error:
        if _UNKNOWN in error.details:
            return None
        raise


async def _ask(name: str, *words: str) -> str:
    # what it says is read by us: English it must be, with any letters in names
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        completed = await process.run(_PROGRAM, "--quiet", *words, env=environment, timeout=_LIMIT)
    except ProgramMissing as error:
        raise ProgramMissing(f'libvirt can\'t be asked about "{name}": {error.message}', hint=_PACKAGE_HINT) from error
    except TimedOut as error:
        raise Unavailable(f'libvirt did not answer about "{name}" within {_LIMIT:g} seconds') from error
    except ProgramFailed as error:
        if _UNREACHED in error.details:
            raise Unavailable(
                f'libvirt can\'t be asked about "{name}": {error.message}',
                details=error.details,
                hint="sudo apt-get install libvirt-daemon-system, or set LIBVIRT_DEFAULT_URI",
            ) from error
        raise
    return completed.stdout.decode(errors="surrogateescape")
