"""`exec`."""

from __future__ import annotations

from typing import Any

import click

from ireko.cli import complete, streams, terminal
from ireko.cli.attach import DETACHED
from ireko.cli.exit import FAILED
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.settings import environment
from ireko.cli.streams import Attached


@verb("exec", example="ireko exec -it web bash", options_first=True)
@click.option("-d", "--detach", is_flag=True, help="Leave the command to itself.")
@click.option("--detach-keys", default="", metavar="KEYS", help="The keys that leave it to itself (ctrl-p,ctrl-q).")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable of the environment.")
@click.option("--env-file", multiple=True, metavar="FILE", help="Read variables from a file.")
@click.option("-i", "--interactive", is_flag=True, help="Send the command this input.")
@click.option("--privileged", is_flag=True, hidden=True)
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="Who runs the command.")
@click.option("-w", "--workdir", default="", metavar="PATH", help="The folder the command starts in.")
@click.argument("container", shell_complete=complete.containers)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_session
def exec_(session: Session, /, *, detach: bool, container: str, command: tuple[str, ...], **values: Any) -> int:
    """Run a command in a running container.

    The exit code is the command's; 126 when it can't be run and 127 when there is no such command.
    """
    how = Attached.checked(
        session, stdin=values["interactive"] and not detach, tty=values["tty"], keys=values["detach_keys"]
    )
    containers = session.client.containers
    console = {"ConsoleSize": list(size)} if how.tty and (size := terminal.size(session.out)) else {}
    identifier = containers.create_exec(
        container,
        {
            "AttachStdin": how.stdin,
            "AttachStdout": not detach,
            "AttachStderr": not detach,
            "Cmd": list(command),
            "Env": environment(values["env"], values["env_file"]),
            "Privileged": values["privileged"],
            "Tty": how.tty,
            "User": values["user"],
            "WorkingDir": values["workdir"],
            **console,
        },
    )
    if detach:
        containers.start_exec_detached(identifier, {"Tty": how.tty})
        return 0
    stream = containers.start_exec(identifier, {"Tty": how.tty, **console})
    stayed = streams.run(
        session,
        stream,
        how,
        started=lambda: None,
        resize=lambda rows, columns: containers.resize_exec(identifier, rows=rows, columns=columns),
    )
    if not stayed:
        session.note(DETACHED)
        return FAILED
    return int(containers.inspect_exec(identifier)["ExitCode"] or 0)
