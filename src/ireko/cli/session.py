"""What every verb is given: the daemon, the streams and the clock. Tests give others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

import click

from ireko.cli.exit import FAILED, say_error
from ireko.errors import IrekoError, Kind

if TYPE_CHECKING:
    from ireko.client import Client


class Session:
    """One run of the command line. `connect` is called when a verb first needs the daemon."""

    def __init__(
        self,
        *,
        out: TextIO,
        err: TextIO,
        stdin: TextIO,
        connect: Callable[[str | None], Client],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.out = out
        self.err = err
        self.stdin = stdin
        self.now = now
        self.host: str | None = None
        self.verb = ""  # the one that the command line names, once it is known
        self._connect = connect

    @classmethod
    def of_process(cls) -> Session:
        """The process's own streams, made fit for any text, and the daemon that its environment names."""
        stdin, out, err = _opened(sys.stdin, "r"), _opened(sys.stdout, "w"), _opened(sys.stderr, "w")
        for stream in (out, err):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        return cls(out=out, err=err, stdin=stdin, connect=connect)

    @cached_property
    def client(self) -> Client:
        """The daemon; connecting happens with the first request."""
        return self._connect(self.host)

    @property
    def binary_out(self) -> BinaryIO:
        """Standard output for bytes; nothing written to `out` before is overtaken."""
        self.out.flush()
        return self.out.buffer

    @property
    def binary_err(self) -> BinaryIO:
        """Standard error for bytes."""
        self.err.flush()
        return self.err.buffer

    def line(self, text: str) -> None:
        """A line on standard output."""
        self.out.write(f"{text}\n")

    def note(self, text: str) -> None:
        """A line for the person, on standard error."""
        self.err.write(f"{text}\n")
        self.err.flush()

    def confirm(self, question: str) -> bool:
        """Ask y or N; anything but y is no."""
        self.out.write(f"{question} [y/N] ")
        self.out.flush()
        return self.stdin.readline().strip().lower() in {"y", "yes"}

    def each(
        self, refs: Iterable[str], action: Callable[[str], object], *, show: bool = True, may_miss: bool = False
    ) -> int:
        """Do something to several objects at once, go on when one fails; the exit code.

        `show` prints the names of those done. With `may_miss` one that does not exist is told, and is no failure.
        """
        wanted = list(refs)
        code = 0
        for ref, error in zip(wanted, _attempts(wanted, action), strict=True):
            if error is not None:
                say_error(error, self.err)
                if not (may_miss and error.kind is Kind.NOT_FOUND):
                    code = FAILED
            elif show:
                self.line(ref)
        return code


def _opened(stream: TextIO | None, mode: Literal["r", "w"]) -> TextIO:
    """A standard stream. In place of one that is closed, another that takes everything and has nothing.

    That it gets the number of the closed one is as well: no disk is opened under it.
    """
    return stream if stream is not None else Path(os.devnull).open(mode, encoding="utf-8")


pass_session = click.make_pass_decorator(Session)


def connect(host: str | None, *, start: bool = True) -> Client:
    """The daemon at an address, or the user's own; with `start` that one is started when it does not answer."""
    from ireko.client import Client
    from ireko.client.address import Address
    from ireko.client.transport import HttpTransport

    if host:
        return Client(HttpTransport(Address.parse(host)))

    from ireko.model.home import default_host, default_root

    root = default_root()
    address = Address.parse(default_host(root))

    def launch() -> None:
        from ireko.client import daemon

        daemon.start(root, address)

    return Client(HttpTransport(address, on_silence=launch if start else None))


def _attempts(refs: list[str], action: Callable[[str], object]) -> Iterable[IrekoError | None]:
    def attempt(ref: str) -> IrekoError | None:
        try:
            action(ref)
        except IrekoError as error:
            return error
        return None

    if len(refs) == 1:
        return [attempt(refs[0])]

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(attempt, refs))
