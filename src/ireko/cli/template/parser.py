"""Tokens into a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ireko.cli.template.lexer import Action, TemplateError, Token, lex, unquote


@dataclass(frozen=True)
class Literal:
    """A string, number, true, false or nil."""

    value: object


@dataclass(frozen=True)
class Chain:
    """A value and the fields taken from it; `base` None is the dot."""

    base: Variable | Pipeline | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """`$name`; `$` alone is what the template was given."""

    name: str


@dataclass(frozen=True)
class Function:
    """A function by name."""

    name: str


Operand = Literal | Chain | Function


@dataclass(frozen=True)
class Pipeline:
    """Commands that each get the value of the one before; the variables are set to the last value."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """What is written as it is."""

    text: str


@dataclass(frozen=True)
class Print:
    """A value that is written, unless it sets a variable."""

    pipeline: Pipeline


@dataclass(frozen=True)
class Branch:
    """`if`, `with` or `range`."""

    keyword: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True)
class Jump:
    """`break` or `continue`."""

    keyword: str


Node = Text | Print | Branch | Jump
_BRANCHES = {"if", "with", "range"}
_JUMPS = {"break", "continue"}
_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(source: str) -> tuple[Node, ...]:
    """The tree of a template. Raises TemplateError."""
    items = lex(source)
    nodes, closing = _nodes(items)
    if closing:
        raise TemplateError(f"template parsing error: unexpected {{{{{closing[0].text}}}}}")
    return nodes


def _nodes(items: Iterator[str | Action]) -> tuple[tuple[Node, ...], tuple[Token, ...]]:
    """Nodes up to an `end` or `else`, and that action's tokens (none at the end of the template)."""
    nodes: list[Node] = []
    for item in items:
        if isinstance(item, str):
            nodes.append(Text(item))
            continue
        first = item.tokens[0] if item.tokens else Token("", "")
        if first.kind == "word" and first.text in {"end", "else"}:
            return tuple(nodes), item.tokens
        if first.kind == "word" and first.text in _BRANCHES:
            nodes.append(_branch(first.text, item.tokens[1:], items))
        elif len(item.tokens) == 1 and first.text in _JUMPS:
            nodes.append(Jump(first.text))
        else:
            nodes.append(Print(_Reader(item.tokens).whole()))
    return tuple(nodes), ()


def _branch(keyword: str, tokens: tuple[Token, ...], items: Iterator[str | Action]) -> Branch:
    pipeline = _Reader(tokens).whole()
    body, closing = _nodes(items)
    otherwise: tuple[Node, ...] = ()
    if len(closing) > 1 and closing[0].text == "else" and closing[1].text in {"if", "with"}:
        return Branch(keyword, pipeline, body, (_branch(closing[1].text, closing[2:], items),))
    if closing and closing[0].text == "else":
        otherwise, closing = _nodes(items)
    if [token.text for token in closing] != ["end"]:
        raise TemplateError(f"template parsing error: {{{{{keyword}}}}} has no {{{{end}}}}")
    return Branch(keyword, pipeline, body, otherwise)


def _number(text: str) -> int | float:
    if text[:2] in {"0x", "0X"}:
        return int(text, 16)
    return float(text) if set(text) & set(".eE") else int(text)


@dataclass
class _Reader:
    """A recursive descent over one action's tokens."""

    tokens: tuple[Token, ...]
    position: int = field(default=0)

    def whole(self) -> Pipeline:
        variables = self._declaration()
        pipeline = self._pipeline()
        if self.position < len(self.tokens):
            raise self._unexpected()
        return Pipeline(pipeline.commands, variables)

    def _declaration(self) -> tuple[str, ...]:
        """`$a :=` or `$a, $b :=` at the beginning."""
        kinds = [token.kind for token in self.tokens]
        if kinds[:2] == ["variable", "declare"]:
            self.position = 2
            return (self.tokens[0].text,)
        if kinds[:4] == ["variable", "sign", "variable", "declare"] and self.tokens[1].text == ",":
            self.position = 4
            return self.tokens[0].text, self.tokens[2].text
        return ()

    def _pipeline(self) -> Pipeline:
        commands = [self._command()]
        while self._sign("|"):
            commands.append(self._command())
        return Pipeline(tuple(commands))

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while (operand := self._operand()) is not None:
            operands.append(operand)
        if not operands:
            raise self._unexpected()
        return tuple(operands)

    def _operand(self) -> Operand | None:
        token = self._peek()
        if token is None or token.text in {"|", ")", ","}:
            return None
        self.position += 1
        match token.kind:
            case "string":
                return Literal(unquote(token.text))
            case "number":
                return Literal(_number(token.text))
            case "word":
                return Literal(_CONSTANTS[token.text]) if token.text in _CONSTANTS else Function(token.text)
            case "dot":
                return Chain(None, ())
            case "field":
                return Chain(None, (token.text[1:], *self._fields()))
            case "variable":
                return Chain(Variable(token.text), self._fields())
        if token.text == "(":
            return self._parenthesis()
        self.position -= 1
        raise self._unexpected()

    def _parenthesis(self) -> Operand:
        inner = self._pipeline()
        if not self._sign(")"):
            raise TemplateError("template parsing error: a ( has no )")
        return Chain(inner, self._fields())

    def _fields(self) -> tuple[str, ...]:
        """The fields that follow without a space."""
        names: list[str] = []
        while (token := self._peek()) is not None and token.kind == "field" and token.tight:
            names.append(token.text[1:])
            self.position += 1
        return tuple(names)

    def _peek(self) -> Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _sign(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "sign" or token.text != text:
            return False
        self.position += 1
        return True

    def _unexpected(self) -> TemplateError:
        token = self._peek()
        what = f'unexpected "{token.text}"' if token else "a value is missing"
        return TemplateError(f"template parsing error: {what} in {{{{{' '.join(each.text for each in self.tokens)}}}}}")
