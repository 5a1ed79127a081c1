"""Text into tokens. The language: https://pkg.go.dev/text/template"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ireko.errors import InvalidInput

_ACTION = re.compile(
    r"""\{\{(?P<left>-(?=\s))?                                  # {{ or {{- with a space after it
        (?P<body>(?: "(?:\\.|[^"\\\n])*" | `[^`]*` | /\*.*?\*/ | (?!\}\}) . )*?)
        (?P<right>(?<=\s)-)?\}\}""",
    re.VERBOSE | re.DOTALL,
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>/\*.*?\*/)
      | (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
      | (?P<number>0[xX][0-9a-fA-F]+|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
      | (?P<field>\.[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<declare>:=|=)
      | (?P<dot>\.)
      | (?P<sign>[|(),])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class TemplateError(InvalidInput):
    """A template that can't be read, or that does not fit what it is given."""


@dataclass(frozen=True)
class Token:
    """`kind` is a group's name of the grammar above; `tight` means nothing separates it from the token before."""

    kind: str
    text: str
    tight: bool = False


@dataclass(frozen=True)
class Action:
    """What stands between {{ and }}."""

    tokens: tuple[Token, ...]


def lex(source: str) -> Iterator[str | Action]:
    """Plain text and actions in turn, with the white space that {{- and -}} eat already gone."""
    position, trim = 0, False
    for match in _ACTION.finditer(source):
        text = source[position : match.start()]
        text = text.lstrip() if trim else text
        text = text.rstrip() if match["left"] else text
        _no_open_action(text)
        if text:
            yield text
        tokens = tuple(_tokens(match["body"]))
        if tokens or "/*" not in match["body"]:
            yield Action(tokens)
        position, trim = match.end(), bool(match["right"])
    rest = source[position:].lstrip() if trim else source[position:]
    _no_open_action(rest)
    if rest:
        yield rest


def _no_open_action(text: str) -> None:
    if "{{" in text:
        raise TemplateError(f'template parsing error: "{text[text.index("{{") :]}" has no }}}} at its end')


def _tokens(body: str) -> Iterator[Token]:
    position, tight = 0, False
    while position < len(body):
        match = _TOKEN.match(body, position)
        if match is None:
            raise TemplateError(f'template parsing error: unexpected "{body[position]}" in "{{{{{body}}}}}"')
        kind = match.lastgroup or ""
        if kind not in {"space", "comment"}:
            yield Token(kind, match[0], tight)
        tight, position = kind not in {"space", "comment"}, match.end()


def unquote(text: str) -> str:
    """The value of a string token: "with \\n escapes", or `raw`."""
    return text[1:-1] if text[0] == "`" else _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    return _SIMPLE.get(code, code)
