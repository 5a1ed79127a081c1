"""`ireko`: where a command line begins and how it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from ireko import __version__
from ireko.cli.exit import report
from ireko.cli.group import VerbGroup
from ireko.cli.session import Session, pass_session

_COMPLETE = "_IREKO_COMPLETE"


@click.group(
    "ireko",
    cls=VerbGroup,
    context_settings={"help_option_names": ["--help"], "max_content_width": 100},
    epilog="`ireko COMMAND --help` says more about a command.",
)
@click.option(
    "-H",
    "--host",
    envvar="IREKO_HOST",
    metavar="ADDRESS",
    help="The daemon's address. Without it your own daemon is used, and started when it does not run.",
)
@click.version_option(__version__, "-v", "--version", prog_name="ireko", message="%(prog)s version %(version)s")
@pass_session
def cli(session: Session, host: str | None) -> None:
    """Containers that are virtual machines.

    \b
    ireko run -it debian bash      a shell in a new machine
    ireko ps                       what runs
    """
    session.host = host


def main(argv: Sequence[str] | None = None, *, session: Session | None = None) -> int:
    """Run one command line; the exit code. Never raises what the user could have caused."""
    words = list(sys.argv[1:] if argv is None else argv)
    session = session or Session.of_process()
    try:
        code = _run(words, session)
        session.out.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what is not ours is raised again by report
        code = report(error, session.err, verb=_verb(words))
        _drop_output(session)
    return code if isinstance(code, int) else 0


def _run(words: list[str], session: Session) -> object:
    """What the verb returns. click's own `main` is not called: it has opinions on interrupts and closed pipes."""
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {"obj": session}, "ireko", _COMPLETE, instruction)
    if words[:1] == ["help"]:  # `ireko help run` is `ireko run --help`
        words = [*words[1:], "--help"]
    try:
        with cli.make_context("ireko", words, obj=session) as context:
            return cli.invoke(context)
    except click.exceptions.Exit as end:  # --help and --version
        return end.exit_code


def _verb(words: list[str]) -> str:
    """The verb for the exit code's sake: `run` in `ireko -H x container run`."""
    plain = [word for word in words if not word.startswith("-")]
    return "run" if "run" in plain[:3] else "".join(plain[:1])


def _drop_output(session: Session) -> None:
    """Write what is left, or make sure that nothing complains at the end when nobody reads it any more."""
    try:
        session.out.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), session.out.fileno())
