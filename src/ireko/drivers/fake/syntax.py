"""The toy guest's shell language, a small part of POSIX sh: words, and commands as a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_KEYWORDS = frozenset({"if", "then", "elif", "else", "fi", "while", "until", "for", "in", "do", "done", "!", "{", "}"})


class ShellSyntaxError(Exception):
    """The text is no sh that this shell knows."""


class Unfinished(ShellSyntaxError):
    """The text ends where more must follow."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a word: fixed text, a variable's value, or a command's output. Only what is not quoted is split."""

    text: str = ""
    variable: str | None = None
    command: str | None = None
    quoted: bool = False


@dataclass(frozen=True)
class Word:
    """Pieces that stand side by side."""

    pieces: tuple[Piece, ...]

    @property
    def literal(self) -> str | None:
        """The word when it is one unquoted text, as keywords are."""
        return self.pieces[0].text if len(self.pieces) == 1 and self._is_bare(self.pieces[0]) else None

    @property
    def fixed(self) -> str:
        """The word's text when nothing in it is to be expanded. Raises ShellSyntaxError."""
        if any(piece.variable is not None or piece.command is not None for piece in self.pieces):
            raise ShellSyntaxError("an expansion is not allowed here")
        return "".join(piece.text for piece in self.pieces)

    @staticmethod
    def _is_bare(piece: Piece) -> bool:
        return not piece.quoted and piece.variable is None and piece.command is None


@dataclass(frozen=True)
class Redirect:
    """`operator` is >, >>, < or >&; the target of the last is a number."""

    number: int
    operator: str
    target: Word


@dataclass(frozen=True)
class Simple:
    """Assignments, then a program with its arguments."""

    assignments: tuple[tuple[str, Word], ...] = ()
    words: tuple[Word, ...] = ()
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """Commands whose output is the next one's input."""

    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True)
class Chain:
    """Pipelines joined by && and ||; the first one's operator is empty. `background` is &."""

    links: tuple[tuple[str, Pipeline], ...]
    background: bool = False


@dataclass(frozen=True)
class Script:
    """One after the other."""

    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class If:
    """Conditions with what follows from them, and what else."""

    branches: tuple[tuple[Script, Script], ...]
    otherwise: Script = Script(())


@dataclass(frozen=True)
class Loop:
    """While, or until."""

    condition: Script
    body: Script
    until: bool = False


@dataclass(frozen=True)
class For:
    """For each of the words."""

    name: str
    words: tuple[Word, ...]
    body: Script


@dataclass(frozen=True)
class Group:
    """{ … } or, in a shell of its own, ( … )."""

    body: Script
    apart: bool = False


Command = Simple | If | Loop | For | Group


def parse(text: str) -> Script:
    """Raises ShellSyntaxError; Unfinished when only the end is missing."""
    parser = _Parser(_tokens(text))
    script = parser.script(frozenset())
    if parser.peek() is not None:
        raise ShellSyntaxError(f"syntax error: unexpected {parser.peek()!r}")
    return script


@dataclass(frozen=True)
class _Redirection:
    number: int
    operator: str
    target: str = ""


_Token = str | Word | _Redirection


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
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


def _redirection(text: str) -> _Redirection:
    number, sign, target = re.fullmatch(r"([0-9]?)(>>|>&|>|<)([0-9]?)", text).groups()  # type: ignore[union-attr]
    return _Redirection(int(number or (0 if sign == "<" else 1)), sign, target)


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


@dataclass
class _Parser:
    tokens: list[_Token]
    place: int = field(default=0)

    def peek(self) -> str | None:
        """The next token as text when it is an operator or may be a keyword, `""` for other ones, None at the end."""
        if self.place >= len(self.tokens):
            return None
        token = self.tokens[self.place]
        if isinstance(token, str):
            return token
        literal = token.literal if isinstance(token, Word) else None
        return literal if literal in _KEYWORDS else ""

    def expect(self, wanted: str) -> None:
        found = self.peek()
        if found is None:
            raise Unfinished(f'syntax error: unexpected end of file (expecting "{wanted}")')
        if found != wanted:
            raise ShellSyntaxError(f'syntax error: unexpected "{found or "word"}" (expecting "{wanted}")')
        self.place += 1

    def script(self, ends: frozenset[str]) -> Script:
        chains: list[Chain] = []
        while True:
            while self.peek() in {";", "\n"}:
                self.place += 1
            found = self.peek()
            if found is None or found in ends or found in {")", "}"}:
                return Script(tuple(chains))
            chains.append(self._chain())

    def _chain(self) -> Chain:
        links = [("", self._pipeline())]
        while (operator := self.peek()) in {"&&", "||"}:
            self.place += 1
            self._skip_newlines()
            links.append((str(operator), self._pipeline()))
        background = self.peek() == "&"
        self.place += background
        return Chain(tuple(links), background)

    def _pipeline(self) -> Pipeline:
        negated = self.peek() == "!"
        self.place += negated
        commands = [self._command()]
        while self.peek() == "|":
            self.place += 1
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _skip_newlines(self) -> None:
        while self.peek() == "\n":
            self.place += 1

    def _command(self) -> Command:
        match self.peek():
            case None:
                raise Unfinished("syntax error: unexpected end of file")
            case "if":
                return self._if()
            case "while" | "until" as kind:
                return self._loop(until=kind == "until")
            case "for":
                return self._for()
            case "(" | "{" as opening:
                return self._group(opening)
            case "":
                return self._simple()
            case found:
                raise ShellSyntaxError(f'syntax error: unexpected "{found!s}"'.replace("\n", "newline"))

    def _if(self) -> If:
        branches: list[tuple[Script, Script]] = []
        self.place += 1
        while True:
            condition = self.script(frozenset({"then"}))
            self.expect("then")
            branches.append((condition, self.script(frozenset({"elif", "else", "fi"}))))
            if self.peek() != "elif":
                break
            self.place += 1
        otherwise = Script(())
        if self.peek() == "else":
            self.place += 1
            otherwise = self.script(frozenset({"fi"}))
        self.expect("fi")
        return If(tuple(branches), otherwise)

    def _loop(self, *, until: bool) -> Loop:
        self.place += 1
        condition = self.script(frozenset({"do"}))
        return Loop(condition, self._body(), until)

    def _for(self) -> For:
        self.place += 1
        name = self._word().fixed
        words: list[Word] = []
        if self.peek() == "in":
            self.place += 1
            while self.peek() not in {";", "\n", None}:
                words.append(self._word())
        else:
            words.append(word('"$@"'))
        while self.peek() in {";", "\n"}:
            self.place += 1
        return For(name, tuple(words), self._body())

    def _body(self) -> Script:
        self.expect("do")
        body = self.script(frozenset({"done"}))
        self.expect("done")
        return body

    def _group(self, opening: str) -> Group:
        self.place += 1
        body = self.script(frozenset())
        self.expect(")" if opening == "(" else "}")
        return Group(body, apart=opening == "(")

    def _word(self) -> Word:
        token = self.tokens[self.place] if self.place < len(self.tokens) else None
        if token is None:
            raise Unfinished("syntax error: unexpected end of file")
        if not isinstance(token, Word):
            raise ShellSyntaxError("syntax error: a word is missing")
        self.place += 1
        return token

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while self.place < len(self.tokens) and not isinstance(token := self.tokens[self.place], str):
            self.place += 1
            if isinstance(token, _Redirection):
                target = Word((Piece(token.target),)) if token.target else self._word()
                redirects.append(Redirect(token.number, token.operator, target))
            elif not words and (pair := _assignment(token)):
                assignments.append(pair)
            else:
                words.append(token)
        return Simple(tuple(assignments), tuple(words), tuple(redirects))


def _assignment(token: Word) -> tuple[str, Word] | None:
    first = token.pieces[0]
    match = _ASSIGNMENT.match(first.text)
    if match is None or first.quoted or first.variable is not None:
        return None
    rest = Piece(first.text[match.end() :])
    return match[0][:-1], Word((rest, *token.pieces[1:]))
