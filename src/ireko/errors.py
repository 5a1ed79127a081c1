"""Every error that ireko raises on purpose.

    IrekoError
    ├── InvalidInput        what was asked for makes no sense (a bad name, a bad flag)
    │   └── Ambiguous       a shortened id or name fits more than one object
    ├── NotFound            no such container, image, file in a guest
    ├── Conflict            it makes sense, but not in the present state
    │   └── AlreadyThere    the name is taken
    ├── NotModified         it is so already (a stopped container is stopped)
    ├── Denied              the operating system or a policy says no
    ├── Unsupported         this driver, guest or host can't do that
    ├── Unavailable         something we need does not answer (hypervisor, daemon)
    ├── TimedOut            it did not happen in time
    ├── NoSpace             a disk is full
    ├── Damaged             a file of ours is missing or not what it was
    ├── ProgramMissing      a program we need is not installed
    ├── ProgramFailed       a program ended with an error
    └── GuestFailed         the guest could not do what was asked

Faces map `kind` to an HTTP status (`api/status.py`) and to an exit code (`cli/exit.py`), in one place each. Errors of other
libraries are wrapped where they enter, with `from`; cancellation never is.
"""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """The closed set of reasons; a face decides by it and by nothing else."""

    INVALID = "invalid"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    NOT_MODIFIED = "not-modified"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed-out"
    NO_SPACE = "no-space"
    DAMAGED = "damaged"
    FAILED = "failed"


class IrekoError(Exception):
    """An error a user can read.

    `message` is one sentence that names the object in quotes, the value found and the value wanted; `details` is for logs
    (a program's output); `hint` says what to do, as a command that can be pasted where there is one.
    """

    kind = Kind.FAILED

    def __init__(self, message: str, *, details: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InvalidInput(IrekoError):
    """What was asked for makes no sense, whatever the state."""

    kind = Kind.INVALID


class Ambiguous(InvalidInput):
    """A shortened id fits more than one object."""


class NotFound(IrekoError):
    """The object that was named does not exist."""

    kind = Kind.NOT_FOUND


class Conflict(IrekoError):
    """It makes sense, but not in the present state."""

    kind = Kind.CONFLICT


class AlreadyThere(Conflict):
    """The name is taken."""


class NotModified(IrekoError):
    """It is so already."""

    kind = Kind.NOT_MODIFIED


class Denied(IrekoError):
    """The operating system or a policy says no."""

    kind = Kind.DENIED


class Unsupported(IrekoError):
    """This driver, guest or host can't do that."""

    kind = Kind.UNSUPPORTED


class Unavailable(IrekoError):
    """Something that is needed does not answer."""

    kind = Kind.UNAVAILABLE


class TimedOut(IrekoError):
    """It did not happen in time."""

    kind = Kind.TIMED_OUT


class NoSpace(IrekoError):
    """A disk is full."""

    kind = Kind.NO_SPACE


class Damaged(IrekoError):
    """A file of ours is missing, or not what it was."""

    kind = Kind.DAMAGED


class ProgramMissing(IrekoError):
    """A program that is needed is not installed."""

    kind = Kind.UNAVAILABLE


class ProgramFailed(IrekoError):
    """A program ended with an error; `details` holds what it said, `exit_code` how it ended (negative: a signal)."""

    def __init__(self, message: str, *, exit_code: int, details: str = "", hint: str = "") -> None:
        super().__init__(message, details=details, hint=hint)
        self.exit_code = exit_code


class GuestFailed(IrekoError):
    """The guest could not do what was asked of it."""
