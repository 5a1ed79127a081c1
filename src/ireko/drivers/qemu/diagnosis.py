"""What QEMU says when it can't start a machine, as errors of ours."""

from __future__ import annotations

import re
from collections.abc import Callable

from ireko.drivers.qemu import ending
from ireko.errors import Conflict, Damaged, Denied, IrekoError, NoSpace, ProgramFailed, Unavailable

_QUOTED = re.compile(r"'([^']*)'")


class PortTaken(Conflict):
    """QEMU could not have a port that was free a moment ago."""


def of_start(name: str, said: str) -> IrekoError:
    """The error for a machine that ended before it ran. `said` is all that QEMU wrote."""
    words = ending.last_words(said) or "it said nothing"
    for pattern, make in _KNOWN:
        if re.search(pattern, said):
            error = make(name, words)
            error.details = said.strip()
            return error
    return ProgramFailed(f'QEMU could not start "{name}": {words}', exit_code=1, details=said.strip())


def _file(words: str) -> str:
    found: list[str] = _QUOTED.findall(words)
    return found[-1] if found else words


def _port(name: str, words: str) -> IrekoError:
    return PortTaken(f'a port of "{name}" is already allocated: {words}')


def _locked(name: str, words: str) -> IrekoError:
    return Conflict(
        f'a disk of "{name}" is in use by another machine: {words}',
        hint="stop the machine or the program that uses it",
    )


def _missing(name: str, words: str) -> IrekoError:
    return Damaged(f'a file of "{name}" is missing: "{_file(words)}"')


def _denied(name: str, words: str) -> IrekoError:
    return Denied(f'a file of "{name}" can\'t be opened: {words}')


def _memory(name: str, words: str) -> IrekoError:
    return Unavailable(
        f'there is not enough free memory on the host for "{name}": {words}',
        hint="give it less with --memory, or stop other machines",
    )


def _full(name: str, words: str) -> IrekoError:
    return NoSpace(f'the disk of the host is full: "{name}" can\'t be started: {words}', hint="ireko system df")


def _no_accelerator(name: str, words: str) -> IrekoError:
    return Unavailable(f'hardware acceleration does not work for "{name}": {words}', hint="ireko doctor")


def _no_image(name: str, words: str) -> IrekoError:
    return Damaged(f'a disk of "{name}" is not what it should be: {words}')


_KNOWN: tuple[tuple[str, Callable[[str, str], IrekoError]], ...] = (
    (r"Could not set up host forwarding rule", _port),
    (r'Failed to get (shared )?"[a-z ]+" lock', _locked),
    (r"No space left on device", _full),
    (r"[Cc]annot allocate memory|[Cc]annot set up guest memory", _memory),
    (r"failed to initialize kvm|Could not access KVM", _no_accelerator),
    (r"No such file or directory|could not load kernel|could not open kernel", _missing),
    (r"Permission denied", _denied),
    (r"not in qcow2 format|Image is corrupt|is not a valid", _no_image),
)
