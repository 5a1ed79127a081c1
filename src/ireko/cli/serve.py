"""`serve`: this process becomes the daemon."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import click

from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.client import Client
from ireko.client.address import Address
from ireko.client.transport import HttpTransport
from ireko.errors import Unavailable
from ireko.model.home import default_host, default_root

_STDOUT = 1


@verb("serve", example="ireko serve --root /srv/ireko -H tcp://127.0.0.1:2375")
@click.option(
    "-H", "--host", "hosts", multiple=True, metavar="ADDRESS", help="Listen here; may be given more than once."
)
@click.option("--root", type=click.Path(path_type=Path), default=None, help="The folder of everything that is kept.")
@click.option(
    "--driver",
    type=click.Choice(["qemu", "fake"]),
    default="qemu",
    envvar="IREKO_DRIVER",
    help="What runs the machines.",
)
@click.option("--ready-fd", type=int, default=None, hidden=True)
@click.option("--stop", is_flag=True, help="End the daemon that runs; machines go on.")
@pass_session
def serve(
    session: Session, *, hosts: tuple[str, ...], root: Path | None, driver: str, ready_fd: int | None, stop: bool
) -> int:
    """Run the daemon.

    The other commands start it when they need it, so this is for a service manager, another root or more addresses.
    """
    chosen = (root or default_root()).absolute()
    addresses = [str(Address.parse(host)) for host in hosts] or [session.host or default_host(chosen)]
    if stop:
        _stop(Client(HttpTransport(Address.parse(addresses[0]))))
        return 0

    from ireko import app

    return app.serve(root=chosen, hosts=addresses, ready_fd=_own(ready_fd), driver=driver)


def _stop(client: Client) -> None:
    """Ask it to end, and return when it has: its stream of events ends with it."""
    happening = client.system.events()
    client.system.stop()
    with contextlib.suppress(Unavailable):
        for _ in happening:
            pass


def _own(ready_fd: int | None) -> int | None:
    """A descriptor for the line that says we serve; when it is standard output, that becomes the log from now on."""
    if ready_fd != _STDOUT:
        return ready_fd
    own = os.dup(_STDOUT)
    os.dup2(2, _STDOUT)
    return own
