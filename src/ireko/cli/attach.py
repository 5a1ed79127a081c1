"""`attach`."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.exit import FAILED
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.start import connected
from ireko.cli.streams import Attached
from ireko.cli.terminal import is_terminal
from ireko.errors import Conflict

DETACHED = "read escape sequence"


@verb("attach")
@click.option("--detach-keys", default="", metavar="KEYS", help="The keys that leave it to itself (ctrl-p,ctrl-q).")
@click.option("--no-stdin", is_flag=True, help="Send it no input.")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Send it the signals this command gets, without -t.")
@click.argument("container", shell_complete=complete.containers)
@pass_session
def attach(session: Session, *, detach_keys: str, no_stdin: bool, sig_proxy: bool, container: str) -> int:
    """Connect to the input and output of a running container.

    For a container that runs its image's own system this is the serial console.
    """
    found = session.client.containers.inspect(container)
    state = found["State"]
    if not state["Running"]:
        raise Conflict("cannot attach to a stopped container, start it first", hint=f"ireko start -a {container}")
    if state.get("Paused"):
        raise Conflict("cannot attach to a paused container, unpause it first", hint=f"ireko unpause {container}")
    config = found["Config"]
    # A system's serial console is a terminal, whatever the container was made with.
    console = found.get("System", False) and is_terminal(session.stdin)
    stdin = (config["OpenStdin"] or console) and not no_stdin
    how = Attached.checked(session, stdin=stdin, tty=config["Tty"] or console, keys=detach_keys)
    stayed, code = connected(
        session, found["Id"], how, condition="not-running", sig_proxy=sig_proxy, started=lambda: None
    )
    if not stayed:
        session.note(DETACHED)
        return FAILED
    return code
