"""A tree and data into text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ireko.cli.template.functions import FUNCTIONS, Missing, text
from ireko.cli.template.lexer import TemplateError
from ireko.cli.template.parser import (
    Branch,
    Chain,
    Function,
    Jump,
    Literal,
    Node,
    Operand,
    Pipeline,
    Print,
    Text,
    Variable,
    parse,
)

Functions = Mapping[str, Callable[..., object]]


class Template:
    """A template that was read once and can be rendered often. Raises TemplateError when it can't be read."""

    def __init__(self, source: str) -> None:
        self._nodes = parse(source)

    def render(self, data: object, *, functions: Functions = FUNCTIONS) -> str:
        """The text for `data`: mappings have fields, sequences can be ranged over. Raises TemplateError."""
        try:
            return _Run(data, functions).text_of(self._nodes, data)
        except _Jumped as jump:
            raise TemplateError(f"template parsing error: {{{{{jump.keyword}}}}} outside {{{{range}}}}") from jump

    def fields(self) -> set[str]:
        """The names of all fields that are taken from what the template is given."""
        return set(_fields(self._nodes))


class _Jumped(Exception):
    """A `break` or `continue` on its way to its range, with what the turn had shown before it."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.keyword = keyword
        self.shown = ""


class _Run:
    """One rendering: the variables and the functions."""

    def __init__(self, data: object, functions: Functions) -> None:
        self._variables: dict[str, object] = {"$": data}
        self._functions = functions

    def text_of(self, nodes: Iterable[Node], dot: object) -> str:
        shown = ""
        for node in nodes:
            try:
                shown += self._node(node, dot)
            except _Jumped as jump:
                jump.shown = shown + jump.shown
                raise
        return shown

    def _node(self, node: Node, dot: object) -> str:
        match node:
            case Text():
                return node.text
            case Print():
                return self._print(node.pipeline, dot)
            case Jump():
                raise _Jumped(node.keyword)
            case Branch(keyword="range"):
                return self._range(node, dot)
            case Branch():
                return self._branch(node, dot)

    def _print(self, pipeline: Pipeline, dot: object) -> str:
        value = self._pipeline(pipeline, dot)
        if pipeline.variables:
            return ""
        value = _present(value)
        return "<no value>" if value is None else text(value)

    def _branch(self, node: Branch, dot: object) -> str:
        value = self._pipeline(node.pipeline, dot)
        if not value:
            return self.text_of(node.otherwise, dot)
        return self.text_of(node.body, value if node.keyword == "with" else dot)

    def _range(self, node: Branch, dot: object) -> str:
        value = self._pipeline(Pipeline(node.pipeline.commands), dot)
        items = list(_items(value))
        if not items:
            return self.text_of(node.otherwise, dot)
        shown = ""
        for key, item in items:
            try:
                shown += self._turn(node, key, item)
            except _Jumped as jump:
                shown += jump.shown
                if jump.keyword == "break":
                    break
        return shown

    def _turn(self, node: Branch, key: object, item: object) -> str:
        names = node.pipeline.variables
        if names:
            self._variables[names[-1]] = item
        if len(names) == 2:
            self._variables[names[0]] = key
        return self.text_of(node.body, item)

    def _pipeline(self, pipeline: Pipeline, dot: object) -> object:
        last: tuple[object, ...] = ()
        for command in pipeline.commands:
            last = (self._command(command, last, dot),)
        for name in pipeline.variables:
            self._variables[name] = last[0]
        return last[0]

    def _command(self, command: tuple[Operand, ...], last: tuple[object, ...], dot: object) -> object:
        first, *rest = command
        if isinstance(first, Function):
            return self._call(first.name, rest, last, dot)
        value = self._operand(first, dot)
        if callable(value):
            return value(*(self._operand(each, dot) for each in rest), *last)
        if rest or last:
            raise TemplateError("template: a value that is no function was given arguments")
        return value

    def _call(self, name: str, operands: list[Operand], last: tuple[object, ...], dot: object) -> object:
        if name in {"and", "or"}:
            return self._until(name == "or", operands, last, dot)
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(f'template parsing error: function "{name}" not defined')
        values = [*(self._operand(each, dot) for each in operands), *last]
        if name != "not":
            values = [_present(value) for value in values]
        try:
            return function(*values)
        except (TypeError, ValueError, AttributeError) as error:
            raise TemplateError(f"template: error calling {name}: {error}") from error

    def _until(self, wanted: bool, operands: list[Operand], last: tuple[object, ...], dot: object) -> object:
        """`or` stops at the first true value, `and` at the first false one."""
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot)
            if bool(value) is wanted:
                return value
        return last[0] if last else value

    def _operand(self, operand: Operand, dot: object) -> object:
        match operand:
            case Literal():
                return operand.value
            case Function():
                return self._call(operand.name, [], (), dot)
            case Chain():
                value = self._base(operand, dot)
                for name in operand.names:
                    value = _field(value, name)
                return value

    def _base(self, chain: Chain, dot: object) -> object:
        match chain.base:
            case None:
                return dot
            case Pipeline():
                return self._pipeline(chain.base, dot)
            case Variable():
                if chain.base.name not in self._variables:
                    raise TemplateError(f'template parsing error: undefined variable "{chain.base.name}"')
                return self._variables[chain.base.name]


def _field(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return value[name] if name in value else Missing(name)
    value = _present(value)
    raise TemplateError(f"template: can't evaluate field {name} in {text(value)}")


def _present(value: object) -> Any:
    if isinstance(value, Missing):
        raise TemplateError(
            f'template: map has no entry for key "{value.name}"', hint="--format json shows every field"
        )
    return value


def _items(value: object) -> Iterable[tuple[object, object]]:
    match value:
        case None | Missing():
            return []
        case Mapping():
            return [(key, value[key]) for key in sorted(value)]
        case bool() | str() | float():
            raise TemplateError(f"template: range can't iterate over {text(value)}")
        case int():
            return [(number, number) for number in range(value)]
        case Iterable():
            return list(enumerate(value))
    raise TemplateError(f"template: range can't iterate over {text(value)}")


def _fields(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, Print):
            yield from _fields_of(node.pipeline)
        elif isinstance(node, Branch):
            yield from _fields_of(node.pipeline)
            yield from _fields((*node.body, *node.otherwise))


def _fields_of(pipeline: Pipeline) -> Iterable[str]:
    for operand in (each for command in pipeline.commands for each in command):
        if isinstance(operand, Chain):
            if isinstance(operand.base, Pipeline):
                yield from _fields_of(operand.base)
            yield from operand.names[:1]
