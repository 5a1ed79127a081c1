"""`start`, and what a start with -a and `attach` share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import click

from ireko.cli import complete, streams
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.streams import Attached
from ireko.errors import InvalidInput


@verb("start", example="ireko start -ai web")
@click.option("-a", "--attach", is_flag=True, help="Show its output and pass signals on to it.")
@click.option("-i", "--interactive", is_flag=True, help="Send it this command's input.")
@click.option("--detach-keys", default="", metavar="KEYS", help="The keys that leave it to itself (ctrl-p,ctrl-q).")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Send it the signals this command gets, without -t.")
@click.argument("containers", nargs=-1, shell_complete=complete.containers, required=True, metavar="CONTAINER...")
@pass_session
def start(
    session: Session, *, attach: bool, interactive: bool, detach_keys: str, sig_proxy: bool, containers: tuple[str, ...]
) -> int:
    """Start stopped containers."""
    if not attach and not interactive:
        return session.each(containers, session.client.containers.start)
    if len(containers) > 1:
        raise InvalidInput("you cannot start and attach multiple containers at once")
    found = session.client.containers.inspect(containers[0])
    how = Attached.checked(
        session, stdin=interactive and found["Config"]["OpenStdin"], tty=found["Config"]["Tty"], keys=detach_keys
    )
    reference = found["Id"]
    condition = "removed" if found["HostConfig"].get("AutoRemove") else "next-exit"
    stayed, code = connected(
        session,
        reference,
        how,
        condition=condition,
        sig_proxy=sig_proxy,
        started=lambda: session.client.containers.start(reference),
    )
    return code if stayed else 0


def connected(
    session: Session, ref: str, how: Attached, *, condition: str, sig_proxy: bool, started: Callable[[], None]
) -> tuple[bool, int]:
    """Attach, call `started`, and carry bytes until it ends: whether the user stayed to the end, and the exit code."""
    containers = session.client.containers
    with contextlib.ExitStack() as stack:
        if sig_proxy and not how.tty:
            stack.enter_context(streams.forwarded_signals(session.client, lambda: ref))
        stream = containers.attach(ref, stdin=how.stdin, stdout=True, stderr=True)
        ending = containers.wait(ref, condition=condition)
        stayed = streams.run(
            session,
            stream,
            how,
            started=started,
            resize=lambda rows, columns: containers.resize(ref, rows=rows, columns=columns),
        )
        return stayed, streams.told_end(session, ending) if stayed else 0
