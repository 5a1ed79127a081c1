"""The user's terminal: raw mode, size, and being told of a new size. The only file here that knows operating systems."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sits at this stream."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def size(stream: TextIO) -> tuple[int, int] | None:
    """Rows and columns; None when the stream is no terminal, or one that does not know its size."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return None
    return (rows, columns) if rows and columns else None


@contextlib.contextmanager
def on_resize(callback: Callable[[], None]) -> Iterator[None]:
    """Call back whenever the terminal's size changes; on Windows nothing tells of it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.signal(signal.SIGWINCH, lambda *_: callback())
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextlib.contextmanager
def ends_by_signal() -> Iterator[None]:
    """Turn the signals that end a process into SystemExit(128 + number), so that the terminal is put back first."""
    names = ("SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, _leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if sys.platform == "win32":

    @contextlib.contextmanager
    def raw(stream: TextIO) -> Iterator[None]:
        """Hand every key on as it is pressed, until the block ends in whatever way. Written, not run on Windows yet."""
        import ctypes
        import msvcrt

        kernel = ctypes.windll.kernel32
        handle = msvcrt.get_osfhandle(stream.fileno())
        before = ctypes.c_uint32()
        kernel.GetConsoleMode(handle, ctypes.byref(before))
        keep = before.value & ~(0x0001 | 0x0002 | 0x0004)  # processed input, lines, echo
        kernel.SetConsoleMode(handle, keep | 0x0200)  # virtual terminal input
        try:
            yield
        finally:
            kernel.SetConsoleMode(handle, before.value)

else:

    @contextlib.contextmanager
    def raw(stream: TextIO) -> Iterator[None]:
        """Hand every key on as it is pressed, until the block ends in whatever way."""
        import termios
        import tty

        descriptor = stream.fileno()
        before = termios.tcgetattr(descriptor)
        tty.setraw(descriptor, termios.TCSANOW)
        try:
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
