"""How the command line ends: what is said about an error, and the exit code. The only place that decides either."""

from __future__ import annotations

from typing import TextIO

import click

from ireko.cli.text import printable
from ireko.errors import IrekoError

FAILED = 1
USAGE = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141

_RUN = {"run"}
_NOT_FOUND_WORDS = ("executable file not found", "no such file or directory")


class UnknownCommand(click.UsageError):
    """There is no verb of this name."""


def report(error: BaseException, err: TextIO, *, verb: str) -> int:
    """Say what went wrong, and return the exit code."""
    match error:
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            return BROKEN_PIPE
        case click.MissingParameter() | UnknownCommand():
            _say(err, f"ireko: {_lower(error.format_message())}", _usage_hint(error))
            return FAILED
        case click.UsageError():
            _say(err, f"ireko: {_lower(error.format_message())}", _usage_hint(error))
            return USAGE
        case click.ClickException():
            _say(err, f"ireko: {error.format_message()}", "")
            return FAILED
        case IrekoError():
            say_error(error, err)
            return code_for(error, verb=verb)
        case OSError():
            name = f": {error.filename}" if error.filename else ""
            _say(err, f"ireko: {error.strerror or error}{name}", "")
            return FAILED
    raise error


def say_error(error: IrekoError, err: TextIO) -> None:
    """One line for the error, in docker's words when the daemon refused, and one for its hint."""
    prefix = "Error response from daemon" if _refused(error) else "ireko"
    _say(err, f"{prefix}: {error.message}", error.hint)


def code_for(error: IrekoError, *, verb: str) -> int:
    """docker's codes: `run` keeps 125 for us, 126 and 127 for a command that could not be started."""
    if verb not in _RUN:
        return FAILED
    if not _refused(error):
        return USAGE
    message = error.message.lower()
    if any(words in message for words in _NOT_FOUND_WORDS):
        return NOT_FOUND
    return NOT_EXECUTABLE if "permission denied" in message else USAGE


def _refused(error: IrekoError) -> bool:
    """Whether the daemon said it. The client is imported here alone: verbs that need no daemon do without it."""
    from ireko.client import Refused

    return isinstance(error, Refused)


def _say(err: TextIO, message: str, hint: str) -> None:
    err.write(f"{printable(message)}\n")
    if hint:
        err.write(f"hint: {printable(hint)}\n")
    err.flush()


def _usage_hint(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help" if error.ctx else "ireko --help"


def _lower(message: str) -> str:
    """The sentence as it stands behind a colon."""
    return message[:1].lower() + message[1:].rstrip(".")
