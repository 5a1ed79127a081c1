"""`logs`."""

from __future__ import annotations

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.units import timestamp
from ireko.client.stream import STDERR


@verb("logs", example="ireko logs -f --tail 20 web")
@click.option("-f", "--follow", is_flag=True, help="Go on with what it writes from now on.")
@click.option("-n", "--tail", default="all", metavar="N", help="The last N lines.")
@click.option("--since", default="", metavar="TIME", help="From this time on, like 10m or 2026-11-24T15:04:05Z.")
@click.option("--until", default="", metavar="TIME", help="Up to this time.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@click.argument("container", shell_complete=complete.containers)
@pass_session
def logs(
    session: Session, *, follow: bool, tail: str, since: str, until: str, timestamps: bool, container: str
) -> None:
    """Show what a container wrote.

    For a container that runs its image's own system this is the serial console.
    """
    now = session.now()
    output = session.client.containers.logs(
        container,
        follow=follow,
        tail=tail,
        since=timestamp(since, now),
        until=timestamp(until, now),
        timestamps=timestamps,
    )
    for stream, data in output:
        target = session.binary_err if stream == STDERR else session.binary_out
        target.write(data)
        target.flush()
