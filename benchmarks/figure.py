"""What a figure is: two sides, a unit and a goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.daemon import Daemon

Side = Callable[[], float]
"""Measures once; the answer is in the figure's unit."""


class Goal(Protocol):
    """What a figure must come to. `other` is the peer's median, or the goal's own limit where there is no peer."""

    @property
    def limit(self) -> float | None:
        """The limit that stands in the peer's column; None when there must be a peer."""

    def met(self, ours: float, other: float) -> bool: ...

    def text(self, unit: str) -> str: ...


@dataclass(frozen=True)
class AtMost:
    """A fixed limit."""

    limit: float

    def met(self, ours: float, other: float) -> bool:
        return ours <= other

    def text(self, unit: str) -> str:
        return f"<= {self.limit:g} {unit}"


@dataclass(frozen=True)
class Times:
    """No more than so many times what the peer takes."""

    factor: float
    limit: None = None

    def met(self, ours: float, other: float) -> bool:
        return ours <= self.factor * other

    def text(self, unit: str) -> str:
        del unit
        return f"<= {self.factor:g} x peer"


@dataclass(frozen=True)
class Over:
    """No more than so much above what the peer takes."""

    extra: float
    limit: None = None

    def met(self, ours: float, other: float) -> bool:
        return ours <= other + self.extra

    def text(self, unit: str) -> str:
        return f"<= peer + {self.extra:g} {unit}"


@dataclass(frozen=True)
class Sides:
    """What is measured, once everything is ready. `notes` is asked at the end for what else a reader should know."""

    ours: Side
    peer: Side | None = None
    notes: Callable[[], list[str]] = list


class Unmeasurable(Exception):
    """This machine lacks what a figure needs; the text says what."""


@dataclass(frozen=True)
class Figure:
    """One promise. `ready` prepares what is measured on a daemon, `alone` what needs none; both clean up after themselves.

    `guests` tells whether it means anything without real guests. The first `warm_up` values of each side are thrown away.
    """

    name: str
    about: str
    unit: str
    goal: Goal
    guests: bool
    repetitions: int
    warm_up: int = 1
    ready: Callable[[Daemon], AbstractContextManager[Sides]] | None = None
    alone: Callable[[], AbstractContextManager[Sides]] | None = None

    def begin(self, daemon: Callable[[], Daemon]) -> AbstractContextManager[Sides]:
        """Get ready; a daemon is asked for only when it is needed. Raises Unmeasurable."""
        if self.alone:
            return self.alone()
        assert self.ready, f"{self.name} has nothing to measure"
        return self.ready(daemon())


@dataclass(frozen=True)
class Measured:
    """What a figure came to: every value of both sides, in the figure's unit."""

    figure: Figure
    ours: list[float]
    peer: list[float]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.ours
        assert self.peer or self.figure.goal.limit is not None, f"{self.figure.name} has neither peer nor limit"

    @property
    def other(self) -> float:
        """The peer's median, or the limit."""
        limit = self.figure.goal.limit
        return limit if limit is not None else median(self.peer)

    @property
    def value(self) -> float:
        """Our median."""
        return median(self.ours)

    @property
    def ratio(self) -> float | None:
        """Ours to the other; None when the other is nothing."""
        return self.value / self.other if self.other else None

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.figure.goal.met(self.value, self.other)


def median(values: list[float]) -> float:
    """The middle value; of an even number the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def measure(figure: Figure, daemon: Callable[[], Daemon]) -> Measured:
    """Get ready, then measure both sides in turn. Raises Unmeasurable."""
    with figure.begin(daemon) as sides:
        values = list(_rounds(sides, figure.warm_up + figure.repetitions))[figure.warm_up :]
        ours = [one for one, _ in values]
        peer = [other for _, other in values if other is not None]
        return Measured(figure, ours, peer, sides.notes())


def _rounds(sides: Sides, number: int) -> Iterator[tuple[float, float | None]]:
    """Each side goes first every other time."""
    for n in range(number):
        if sides.peer is None:
            yield sides.ours(), None
        elif n % 2:
            ours = sides.ours()
            yield ours, sides.peer()
        else:
            peer = sides.peer()
            yield sides.ours(), peer
