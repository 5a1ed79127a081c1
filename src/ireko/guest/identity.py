"""The keys of one machine's guest channel: made by us, kept with the container, injected through the seed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ireko.errors import Damaged

_HOST, _CLIENT = "host_key", "client_key"


@dataclass(frozen=True)
class Identity:
    """`host` is what the guest proves itself with, `client` what we do."""

    host: Ed25519PrivateKey
    client: Ed25519PrivateKey

    @classmethod
    def create(cls) -> Identity:
        """Two fresh keys."""
        return cls(Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())

    def save(self, directory: Path) -> None:
        """Write both keys into a container's folder, readable by its owner alone."""
        for name, key in ((_HOST, self.host), (_CLIENT, self.client)):
            descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(private_openssh(key))

    @staticmethod
    def paths(directory: Path) -> tuple[Path, Path]:
        """The files that `save` writes."""
        return directory / _HOST, directory / _CLIENT

    @classmethod
    def load(cls, directory: Path) -> Identity:
        """Read what `save` wrote. Raises Damaged."""
        return cls(_load(directory / _HOST), _load(directory / _CLIENT))


def private_openssh(key: Ed25519PrivateKey) -> bytes:
    """The private key in OpenSSH's own format."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def public_openssh(key: Ed25519PrivateKey) -> str:
    """The public key as one line of an `authorized_keys` file, without a comment."""
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise Damaged(f'the key "{path}" of the guest channel can\'t be read: {error}') from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Damaged(f'the key "{path}" of the guest channel is no ed25519 key')
    return key
