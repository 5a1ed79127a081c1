"""From text to words and operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ireko.drivers.fake.sh.syntax import Piece, Unfinished, Word

_TOKEN = re.compile(
    r"(?P<blank>[ \t]+|\\\n|#[^\n]*)"
    r"|(?P<redirect>[0-9]?(?:>>|>&[0-9]|>|<))"
    r"|(?P<operator>&&|\|\||[;&|\n(){}])"
    r"|(?P<word>(?:\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|[^\s;&|<>(){}'\"\\])+)",
    re.DOTALL,
)
_PART = re.compile(
    r"\\(?P<escaped>.)|'(?P<single>[^']*)'|\"(?P<double>(?:\\.|[^\"\\])*)\"|(?P<bare>[^\\'\"]+)", re.DOTALL
)
_EXPANSION = re.compile(
    r"\$(?:\((?P<command>(?:[^()]|\([^()]*\))*)\)|\{(?P<braced>[^}]*)\}|(?P<name>\w+|[?$#@*!]))|\\(?P<escaped>[$`\"\\\n])"
)


@dataclass(frozen=True)
class Redirection:
    """A redirection without its target, which is the next word; a stream's number stands in it."""

    number: int
    operator: str
    target: str = ""


Token = str | Word | Redirection


def tokens(text: str) -> list[Token]:
    """Words, redirections, and operators as they are. Raises Unfinished for a quote that is not closed."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Unfinished(f"syntax error: unterminated quoted string: {text[place:]}")
        place = match.end()
        if match["redirect"]:
            found.append(_redirection(match["redirect"]))
        elif match["operator"]:
            found.append(match["operator"])
        elif match["word"]:
            found.append(word(match["word"]))
    return found


def _redirection(text: str) -> Redirection:
    number, sign, target = re.fullmatch(r"([0-9]?)(>>|>&|>|<)([0-9]?)", text).groups()  # type: ignore[union-attr]
    return Redirection(int(number or (0 if sign == "<" else 1)), sign, target)


def word(text: str) -> Word:
    """One word with its quotes."""
    pieces: list[Piece] = []
    # an expansion may hold quotes and blanks, so it is cut out before they are looked at
    for match in re.finditer(r"\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|" + _PART.pattern, text, re.DOTALL):
        if match["single"] is not None:
            pieces.append(Piece(match["single"], quoted=True))
        elif match["escaped"] is not None:
            pieces.append(Piece(match["escaped"], quoted=True))
        elif match["double"] is not None:
            pieces += expansions(match["double"], quoted=True) or [Piece(quoted=True)]
        else:
            pieces += expansions(match[0], quoted=False)
    return Word(tuple(pieces))


def expansions(text: str, *, quoted: bool) -> list[Piece]:
    """Text with its variables and commands."""
    pieces: list[Piece] = []
    place = 0
    for match in _EXPANSION.finditer(text):
        if match.start() > place:
            pieces.append(Piece(text[place : match.start()], quoted=quoted))
        place = match.end()
        if match["command"] is not None:
            pieces.append(Piece(command=match["command"], quoted=quoted))
        elif match["escaped"] is not None:
            pieces.append(Piece(match["escaped"].replace("\n", ""), quoted=True))
        else:
            pieces.append(Piece(variable=match["braced"] or match["name"], quoted=quoted))
    if place < len(text):
        pieces.append(Piece(text[place:], quoted=quoted))
    return pieces
