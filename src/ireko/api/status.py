"""From an error's kind to an HTTP status, and nowhere else."""

from __future__ import annotations

from ireko.errors import IrekoError, Kind

_STATUS = {
    Kind.INVALID: 400,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.NOT_MODIFIED: 304,
    Kind.DENIED: 403,
    Kind.UNSUPPORTED: 501,
    Kind.UNAVAILABLE: 503,
    Kind.TIMED_OUT: 504,
    Kind.NO_SPACE: 507,
    Kind.DAMAGED: 500,
    Kind.FAILED: 500,
}


def http_status(error: IrekoError) -> int:
    """The status that an error is answered with."""
    return _STATUS[error.kind]
