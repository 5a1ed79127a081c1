"""From words and operators to commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ireko.drivers.fake.sh.lexer import Redirection, Token, tokens, word
from ireko.drivers.fake.sh.syntax import (
    Chain,
    Command,
    For,
    Group,
    If,
    Loop,
    Piece,
    Pipeline,
    Redirect,
    Script,
    ShellSyntaxError,
    Simple,
    Unfinished,
    Word,
)

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_KEYWORDS = frozenset({"if", "then", "elif", "else", "fi", "while", "until", "for", "in", "do", "done", "!", "{", "}"})


def parse(text: str) -> Script:
    """Raises ShellSyntaxError; Unfinished when only the end is missing."""
    parser = _Parser(tokens(text))
    script = parser.script(frozenset())
    if parser.peek() is not None:
        raise ShellSyntaxError(f"syntax error: unexpected {parser.peek()!r}")
    return script


@dataclass
class _Parser:
    tokens: list[Token]
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
            if isinstance(token, Redirection):
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
