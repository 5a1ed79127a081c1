"""The verbs that change how containers stand."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.client import Client

_MANY = click.argument(
    "containers", nargs=-1, shell_complete=complete.containers, required=True, metavar="CONTAINER..."
)
_TIMEOUT = click.option("-t", "--timeout", "--time", type=int, metavar="SECONDS", help="Cut the power after this long.")
_SIGNAL = click.option("-s", "--signal", default="", metavar="NAME", help="The signal to send, like TERM or 9.")


@verb("stop", example="ireko stop -t 5 web")
@_TIMEOUT
@_SIGNAL
@_MANY
@pass_session
def stop(session: Session, *, containers: tuple[str, ...], timeout: int | None, signal: str) -> int:
    """Stop running containers.

    The guest is asked to end; when it has not done so after the grace period its power is cut.
    """
    client = session.client
    return session.each(containers, lambda ref: client.containers.stop(ref, timeout=timeout, signal=signal))


@verb("restart")
@_TIMEOUT
@_SIGNAL
@_MANY
@pass_session
def restart(session: Session, *, containers: tuple[str, ...], timeout: int | None, signal: str) -> int:
    """Stop containers and start them again."""
    client = session.client
    return session.each(containers, lambda ref: client.containers.restart(ref, timeout=timeout, signal=signal))


@verb("kill", example="ireko kill -s HUP web")
@click.option("-s", "--signal", default="", metavar="NAME", help="The signal to send; KILL cuts the power.")
@_MANY
@pass_session
def kill(session: Session, *, containers: tuple[str, ...], signal: str) -> int:
    """Send a signal to running containers."""
    client = session.client
    return session.each(containers, lambda ref: client.containers.kill(ref, signal=signal))


@verb("pause")
@_MANY
@pass_session
def pause(session: Session, *, containers: tuple[str, ...]) -> int:
    """Halt the processors of containers.

    Memory stays as it is; `ireko unpause` goes on from there.
    """
    return session.each(containers, session.client.containers.pause)


@verb("unpause")
@_MANY
@pass_session
def unpause(session: Session, *, containers: tuple[str, ...]) -> int:
    """Let paused containers go on."""
    return session.each(containers, session.client.containers.unpause)


@verb("wait")
@_MANY
@pass_session
def wait(session: Session, *, containers: tuple[str, ...]) -> int:
    """Block until containers stop, then print their exit codes."""
    client = session.client
    return max(
        session.each([ref], lambda ref: session.line(str(_exit_code(client, ref))), show=False) for ref in containers
    )


def _exit_code(client: Client, ref: str) -> int:
    return client.containers.wait(ref).result()[0]


@verb("rename")
@click.argument("container", shell_complete=complete.containers)
@click.argument("name", metavar="NEW_NAME")
@pass_session
def rename(session: Session, *, container: str, name: str) -> None:
    """Give a container another name."""
    session.client.containers.rename(container, name)


@verb("recreate", example="ireko recreate web")
@_MANY
@pass_session
def recreate(session: Session, *, containers: tuple[str, ...]) -> int:
    """Throw a container's changes away and start again from its image.

    It keeps its name and its settings. One that runs is stopped first and started afterwards. Volumes are kept.
    """
    return session.each(containers, session.client.containers.recreate)


@verb("rm", example="ireko rm -f web")
@click.option("-f", "--force", is_flag=True, help="Remove running containers too: their power is cut.")
@click.option("-v", "--volumes", is_flag=True, help="Remove the volumes that were made for it and have no name.")
@_MANY
@pass_session
def rm(session: Session, *, containers: tuple[str, ...], force: bool, volumes: bool) -> int:
    """Remove containers."""
    client = session.client
    return session.each(
        containers, lambda ref: client.containers.remove(ref, force=force, volumes=volumes), may_miss=force
    )
