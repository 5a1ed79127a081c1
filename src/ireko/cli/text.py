"""Text on a terminal: how wide it is, how it is shortened and quoted."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def ellipsis(text: str, width: int) -> str:
    """The text, or its beginning and "…" when it takes more than that many columns."""
    if display_width(text) <= width:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += _width(character)
        if taken > width - 1:
            return f"{text[:position]}…"
    return text


def quote(value: str) -> str:
    """A string in double quotes, as Go's %q writes it: what can't be printed becomes an escape."""
    simple = {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        '"': '\\"',
        "\\": "\\\\",
    }
    return '"' + "".join(simple.get(character) or _printable(character) for character in value) + '"'


def printable(text: str) -> str:
    """The text with escapes for what would steer a terminal; the ends of lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(character if character in "\n\t" else _printable(character) for character in text)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
