"""What the daemon said no to."""

from __future__ import annotations

import json

from ireko.errors import IrekoError, Kind

_KINDS = {
    304: Kind.NOT_MODIFIED,
    400: Kind.INVALID,
    403: Kind.DENIED,
    404: Kind.NOT_FOUND,
    409: Kind.CONFLICT,
    501: Kind.UNSUPPORTED,
    503: Kind.UNAVAILABLE,
    504: Kind.TIMED_OUT,
    507: Kind.NO_SPACE,
}


class Refused(IrekoError):
    """The daemon answered with an error. `status` is the HTTP status, `kind` follows from it."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.kind = _KINDS.get(status, Kind.FAILED)

    @classmethod
    def from_body(cls, status: int, reason: str, body: bytes) -> Refused:
        """Read an error body, `{"message": …, "hint": …}`; what is no JSON is the message itself."""
        try:
            said = json.loads(body)
            return cls(str(said["message"]), status=status, hint=str(said.get("hint", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            text = body.decode(errors="replace").strip()
            return cls(text or f"{status} {reason}", status=status)
