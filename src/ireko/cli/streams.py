"""Connecting this process's input and output to a container's."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

from ireko.cli import terminal
from ireko.cli.detach import DEFAULT, DetachFilter, parse_keys
from ireko.cli.session import Session
from ireko.client import Client, Stream
from ireko.client.containers import Pending
from ireko.client.stream import STDERR
from ireko.errors import InvalidInput, IrekoError, Unavailable

_PIECE = 1 << 14
_FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
_TOLD_INSIDE = {126, 127}  # the command could not be started: its standard error says so
_FORCED_AFTER = 3  # interrupts; then this process ends whatever the container does


@dataclass(frozen=True)
class Attached:
    """What is connected: `stdin` whether input is sent, `tty` whether there is a terminal inside, `keys` what detaches."""

    stdin: bool
    tty: bool
    keys: bytes

    @classmethod
    def checked(cls, session: Session, *, stdin: bool, tty: bool, keys: str) -> Attached:
        """Raises InvalidInput when a terminal is wanted and this process has none."""
        if stdin and tty and not terminal.is_terminal(session.stdin):
            raise InvalidInput(
                "the input device is not a TTY", hint="leave -t out when input comes from a file or a pipe"
            )
        return cls(stdin, tty, parse_keys(keys or DEFAULT))


def run(
    session: Session, stream: Stream, how: Attached, *, started: Callable[[], None], resize: Callable[[int, int], None]
) -> bool:
    """Carry bytes both ways until the container's output ends; False when the user detached.

    `started` is called once this process is ready for output; `resize` with rows and columns, at first and on each change.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(stream.close)
        if how.tty and terminal.is_terminal(session.stdin) and how.stdin:
            stack.enter_context(terminal.ends_by_signal())
            stack.enter_context(terminal.raw(session.stdin))
        started()
        if how.tty:
            stack.enter_context(_sized(session, resize))
        sender = _Sender(session, stream, how)
        if how.stdin:
            threading.Thread(target=sender.run, daemon=True).start()
        _show(session, stream)
        return not sender.detached


@contextlib.contextmanager
def _sized(session: Session, resize: Callable[[int, int], None]) -> Iterator[None]:
    def tell() -> None:
        if (now := terminal.size(session.out)) is not None:
            # The process may be gone or not there yet: its size is no reason to end.
            with contextlib.suppress(IrekoError):
                resize(*now)

    tell()
    with terminal.on_resize(tell):
        yield


def _show(session: Session, stream: Stream) -> None:
    out, err = session.binary_out, session.binary_err
    for number, data in stream.output():
        target = err if number == STDERR else out
        target.write(data)
        target.flush()


class _Sender:
    """Reads this process's input in a thread of its own and sends it on."""

    def __init__(self, session: Session, stream: Stream, how: Attached) -> None:
        self._descriptor = session.stdin.fileno() if how.stdin else -1
        self._stream = stream
        self._filter = DetachFilter(how.keys if how.tty else b"")
        self.detached = False

    def run(self) -> None:
        with contextlib.suppress(Unavailable, OSError):  # the container has ended: nobody reads input any more
            while data := os.read(self._descriptor, _PIECE):
                passed, self.detached = self._filter.feed(data)
                if passed:
                    self._stream.write(passed)
                if self.detached:
                    self._stream.close()
                    return
        self._stream.close_write()


def told_end(session: Session, ending: Pending) -> int:
    """The exit code, once it has ended; why, where nobody in the guest could say so."""
    code, reason = ending.result()
    if reason and code not in _TOLD_INSIDE:
        session.note(f"the machine was cut off: {reason}")
    return code


@contextlib.contextmanager
def forwarded_signals(client: Client, ref: Callable[[], str]) -> Iterator[None]:
    """Send the signals this process gets to the container, from a thread, because a handler must not wait.

    The third interrupt ends this process with KeyboardInterrupt.
    """
    wanted: SimpleQueue[str] = SimpleQueue()
    interrupts = 0

    def note(number: int, _frame: object) -> None:
        nonlocal interrupts
        interrupts += number in {signal.SIGINT, signal.SIGTERM}
        if interrupts >= _FORCED_AFTER:
            raise KeyboardInterrupt
        wanted.put(signal.Signals(number).name)

    def send() -> None:
        while name := wanted.get():
            with contextlib.suppress(IrekoError):  # it has ended, or does not run yet
                client.containers.kill(ref(), signal=name)

    numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
    threading.Thread(target=send, daemon=True).start()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        wanted.put("")
