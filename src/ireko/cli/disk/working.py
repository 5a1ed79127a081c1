"""Work that takes its time: shown on a terminal, and stopped by Ctrl-C so that nothing half-made stays."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO

from ireko.cli.progress import bar, fitted, percent
from ireko.cli.session import Session
from ireko.cli.terminal import is_terminal, size
from ireko.cli.text import display_width, printable
from ireko.cli.units import binary_size
from ireko.disk.base import Progress
from ireko.disk.errors import Cancelled

_EVERY = 0.1  # seconds between two looks of the line
_WIDTH = 80
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextlib.contextmanager
def working(session: Session, what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A progress to work with, shown on a terminal unless `quiet`; the line is gone at the end.

    The first Ctrl-C, and the other signals that end a process, have the work stop at its next step: it then leaves nothing.
    Raises KeyboardInterrupt, or SystemExit with the signal's code, when it has. A second one doesn't wait for the step.
    """
    line = _Line(session.err, what)
    progress = Progress(line.show if is_terminal(session.err) and not quiet else None)
    with _cancelled_by_signals(progress) as received:
        try:
            yield progress
        except Cancelled:
            line.clear()
            session.note("ireko: stopped; the files are as they were")
            raise _ending(received[-1] if received else signal.SIGINT) from None
        finally:
            line.clear()


class _Line:
    """One line, written over again and again."""

    def __init__(self, out: TextIO, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._what = printable(what)
        self._clock = clock
        self._last = 0.0
        self._shown = 0

    def show(self, done: int, total: int) -> None:
        now = self._clock()
        if not total or now - self._last < _EVERY:
            return
        details = f"{bar(done, total)} of {binary_size(total)}", percent(done, total)
        text = fitted(self._what, details, (size(self._out) or (0, _WIDTH))[1] - 1)
        width = display_width(text)
        self._out.write(f"\r{text}{' ' * (self._shown - width)}")
        self._out.flush()
        self._last, self._shown = now, width

    def clear(self) -> None:
        """Leave an empty line, where the next text begins; may be repeated."""
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._out.flush()
        self._shown = 0


@contextlib.contextmanager
def _cancelled_by_signals(progress: Progress) -> Iterator[list[int]]:
    """The signals that came."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise _ending(number)
        progress.cancel()

    if threading.current_thread() is not threading.main_thread():  # only there signals can be had
        yield received
        return
    before = {each: signal.signal(each, stop) for each in (getattr(signal, name, None) for name in _SIGNALS) if each}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
