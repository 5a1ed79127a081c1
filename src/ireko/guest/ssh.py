"""An SSH connection over a byte stream that the hypervisor carries into the guest."""

from __future__ import annotations

import asyncio
import socket

import asyncssh

from ireko.errors import GuestFailed
from ireko.guest.identity import Identity, private_openssh, public_openssh

_READY = b"ireko\n"
_PEEK = 4096

# What costs a guest without hardware acceleration the least, see docs/decisions/0003-guest-channel.md.
_CIPHERS = ("aes128-ctr",)
_EXCHANGES = ("curve25519-sha256", "curve25519-sha256@libssh.org")
_CODES = ("hmac-sha2-256",)


class HungUp(GuestFailed):
    """The stream ended or made no sense before we were logged in: another try may do."""


class Silent(GuestFailed):
    """No server greeted in time: there is none yet, or it has not seen that the one before us is gone."""


async def connect(
    stream: socket.socket, *, name: str, identity: Identity, patience: float
) -> asyncssh.SSHClientConnection:
    """Wait until the guest serves the channel, then log in and know it by its key. `name` is for error messages.

    Takes over the stream. Raises Silent when the guest does not begin to serve within `patience` seconds, GuestFailed when it
    is another, refuses us, or hangs up. Logging in has no time limit.
    """
    try:
        await _served(stream, name, patience)
    except BaseException:
        stream.close()
        raise
    try:
        return await _log_in(stream, identity)
    except asyncssh.HostKeyNotVerifiable as error:
        raise GuestFailed(f'the guest that answers for "{name}" does not have its key: {error.reason}') from error
    except (asyncssh.ConnectionLost, asyncssh.ProtocolError, asyncssh.MACError, OSError) as error:
        raise HungUp(f'the guest channel of "{name}" broke while it was opened: {error}') from error
    except asyncssh.Error as error:
        raise GuestFailed(f'the guest channel of "{name}" could not be opened: {error}') from error


async def _served(stream: socket.socket, name: str, patience: float) -> None:
    """Wait for the greeting. Raises Silent, HungUp."""
    try:
        async with asyncio.timeout(patience):
            await _greeting(stream)
    except TimeoutError as error:
        raise Silent(f'"{name}" did not answer within {patience:g} seconds') from error
    except (OSError, EOFError) as error:
        raise HungUp(f'the guest channel of "{name}" could not be opened: {error}') from error


async def _log_in(stream: socket.socket, identity: Identity) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "",
        sock=stream,
        config=(),
        username="root",
        client_keys=[asyncssh.import_private_key(private_openssh(identity.client))],
        known_hosts=([asyncssh.import_public_key(public_openssh(identity.host))], [], []),
        agent_path=None,
        preferred_auth="publickey",
        server_host_key_algs=["ssh-ed25519"],
        encryption_algs=_CIPHERS,
        kex_algs=_EXCHANGES,
        mac_algs=_CODES,
        compression_algs=["none"],
        login_timeout=0,
    )


async def _greeting(stream: socket.socket) -> None:
    """Take in everything up to the line that a fresh server begins with: the rest of an earlier connection may be before it."""
    seen = b""
    while True:
        await _readable(stream)
        fresh = stream.recv(_PEEK, socket.MSG_PEEK)
        if not fresh:
            raise EOFError("the guest hung up")
        end = (seen + fresh).find(_READY)
        if end >= 0:
            stream.recv(end + len(_READY) - len(seen))
            return
        stream.recv(len(fresh))
        seen = (seen + fresh)[1 - len(_READY) :]


async def _readable(stream: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(stream, tell)
    try:
        await ready
    finally:
        loop.remove_reader(stream)
