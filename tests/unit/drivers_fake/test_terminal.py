from __future__ import annotations

import pytest

from ireko.drivers.fake.streams import Terminal


class Screen:
    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data


@pytest.mark.parametrize(
    ("typed", "shown", "read"),
    [
        (b"line\r", b"line\r\n", b"line\n"),
        (b"ab\x7f\x7f\x7fc\r", b"ab\b \b\b \bc\r\n", b"c\n"),
        (b"half\x04", b"half", b"half"),
        (b"gone\x03kept\r", b"gone^C\r\nkept\r\n", b"kept\n"),
    ],
)
async def test_lines_are_edited_and_echoed(typed: bytes, shown: bytes, read: bytes) -> None:
    screen = Screen()
    terminal = Terminal(screen)
    signals: list[int] = []
    terminal.signal = signals.append
    await terminal.type(typed)
    assert screen.data == shown
    assert await terminal.input.piece() == read
    assert signals == [2] * typed.count(b"\x03")


async def test_the_end_of_input_is_for_one_reader() -> None:
    terminal = Terminal(Screen())
    await terminal.type(b"\x04")
    assert await terminal.input.line() == b""
    await terminal.type(b"more\r")
    assert await terminal.input.line() == b"more\n"


async def test_a_silent_terminal_shows_what_programs_write_alone() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    terminal.echo = False
    await terminal.type(b"secret\r")
    await terminal.write(b"a\nb\n")
    assert screen.data == b"a\r\nb\r\n"
