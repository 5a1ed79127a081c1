"""Names and ids: what is allowed, and how a written reference is read."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass

from ireko.errors import InvalidInput

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?"
_REPOSITORY = re.compile(rf"{_HOST}{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}")
_UNREADABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
SHORT = 12


def new_id() -> str:
    """A fresh id: 64 hexadecimal digits, as docker's are."""
    return secrets.token_hex(32)


def short(identifier: str) -> str:
    """The first twelve digits of an id, as tables show it."""
    return identifier.removeprefix("sha256:")[:SHORT]


def check_container_name(name: str) -> str:
    """The name without docker's leading slash. Raises InvalidInput when docker would refuse it."""
    name = name.removeprefix("/")
    if not _CONTAINER.fullmatch(name):
        raise InvalidInput(
            f'Invalid container name "{name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and at least two characters'
        )
    return name


def check_volume_name(name: str) -> str:
    """The name. Raises InvalidInput when docker would refuse it."""
    if not _CONTAINER.fullmatch(name):
        raise InvalidInput(
            f'Invalid volume name "{name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and at least two characters',
            hint="a host folder is written as an absolute path",
        )
    return name


def check_machine_name(name: str) -> str:
    """The name. Raises InvalidInput for one that no hypervisor takes; letters of any language are no reason."""
    if not name.strip() or any(unicodedata.category(character) in _UNREADABLE for character in name):
        raise InvalidInput(f"invalid machine name {name!r}: it must be readable, in one line")
    return name


def looks_like_id(text: str) -> bool:
    """Whether the text can be an id or the beginning of one."""
    return bool(_ID.fullmatch(text))


@dataclass(frozen=True, order=True)
class Reference:
    """An image's name: `repository:tag`."""

    repository: str
    tag: str = "latest"

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `repository[:tag]`; no tag means `latest`. Raises InvalidInput.

        docker.io's own prefix is dropped, so that a name which the docker client has expanded is the name the user wrote.
        """
        if "@" in text:
            raise InvalidInput(f'the image reference "{text}" has a digest: write repository:tag or an id')
        repository, colon, tag = text.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = text, "latest"
        repository = repository.removeprefix("docker.io/").removeprefix("library/")
        if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
            raise InvalidInput(
                f'invalid reference format: "{text}": a repository is lower case letters and digits, with . _ - / between'
            )
        if not _TAG.fullmatch(tag):
            raise InvalidInput(f'invalid reference format: "{text}": "{tag}" is no tag')
        return cls(repository, tag)
