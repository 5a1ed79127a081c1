"""Versions of docker's API: which ones are spoken, and which one a request is in."""

from __future__ import annotations

import re
from typing import NamedTuple

from ireko.errors import InvalidInput

_PREFIX = re.compile(r"/v([0-9]{1,4})\.([0-9]{1,4})(/.*)")


class Version(NamedTuple):
    """As docker writes it, `1.47`; versions compare as numbers do."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


CURRENT = Version(1, 47)
OLDEST = Version(1, 24)
MULTIPLEXED_TYPE = Version(1, 42)
"""From here on, a multiplexed stream has a content type of its own."""


def split(path: str) -> tuple[Version, str]:
    """A path's version (ours, when it names none) and the rest of it. Raises InvalidInput for one that is not spoken."""
    found = _PREFIX.fullmatch(path)
    if found is None:
        return CURRENT, path
    version = Version(int(found[1]), int(found[2]))
    if version > CURRENT:
        raise InvalidInput(
            f"client version {version} is too new. Maximum supported API version is {CURRENT}",
            hint=f"DOCKER_API_VERSION={CURRENT}",
        )
    if version < OLDEST:
        raise InvalidInput(
            f"client version {version} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return version, found[3]
