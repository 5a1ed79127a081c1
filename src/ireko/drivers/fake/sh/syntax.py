"""The toy guest's shell language, a small part of POSIX sh, as a tree of commands."""

from __future__ import annotations

from dataclasses import dataclass


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
