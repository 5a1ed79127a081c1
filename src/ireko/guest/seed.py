"""The seed: what a guest is told at its start, as the tar archive of `docs/guest-interface.md`."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ireko.guest.identity import Identity, private_openssh, public_openssh

_KEY_TYPE = b"ssh-ed25519"


@dataclass(frozen=True)
class Network:
    """The guest's side of its network; addresses are IPv4. The defaults are those of user-mode networking."""

    mac: str
    address: str = "10.0.2.15/24"
    gateway: str = "10.0.2.2"
    nameserver: str = "10.0.2.3"


@dataclass(frozen=True)
class Main:
    """The main command. `environment` holds NAME=value; `user` "" is root, `workdir` "" is /."""

    argv: Sequence[str]
    environment: Sequence[str] = ()
    workdir: str = ""
    user: str = ""


@dataclass(frozen=True)
class SeedMount:
    """`tag` names a volume's disk (`vol-N`) or a shared folder (`fs-N`), `path` is where the guest mounts it."""

    tag: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Seed:
    """Everything a guest is told. `main` None: the system way; `network` None: no network."""

    hostname: str
    machine_id: str
    identity: Identity
    stdio: str
    main: Main | None = None
    network: Network | None = None
    mounts: Iterable[SeedMount] = ()

    def archive(self) -> bytes:
        """The archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in self._files().items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o600
                tar.addfile(member, io.BytesIO(data))
        return buffer.getvalue()

    def _files(self) -> dict[str, bytes]:
        files = {
            "hostname": _text(self.hostname),
            "machine-id": _text(self.machine_id),
            "network": _network(self.network) if self.network else b"",
            "authorized_keys": _text(public_openssh(self.identity.client)),
            "host_key_dropbear": dropbear_key(self.identity.host),
            "host_key_openssh": private_openssh(self.identity.host),
            "stdio": _text(self.stdio),
            "mounts": b"".join(
                _text(f"{mount.tag}\t{mount.path}\t{'ro' if mount.read_only else 'rw'}") for mount in self.mounts
            ),
        }
        if self.main is not None:
            files["command"] = _words(self.main.argv)
            files["environment"] = _words(self.main.environment)
            files["workdir"] = _text(self.main.workdir)
            files["user"] = _text(self.main.user)
        return files


def dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """A private key as dropbear keeps it: two strings with their length before them, the type and both halves."""
    private = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return b"".join(struct.pack(">I", len(part)) + part for part in (_KEY_TYPE, private + public))


def _network(network: Network) -> bytes:
    return b"".join(
        _text(f"{name} {value}")
        for name, value in (
            ("address", network.address),
            ("gateway", network.gateway),
            ("nameserver", network.nameserver),
            ("mac", network.mac),
        )
    )


def _text(line: str) -> bytes:
    return f"{line}\n".encode(errors="surrogateescape")


def _words(words: Sequence[str]) -> bytes:
    return b"".join(word.encode(errors="surrogateescape") + b"\0" for word in words)
