"""What a check finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ireko.drivers.base import Level
from ireko.model.recipe import Progress

REPAIR = "ireko system check --repair"
RESTORE = "restore the database from a backup of its folder"

Mend = Callable[[Progress], Awaitable[None]]
"""Puts something right without losing anything. Raises IrekoError and OSError when it can't; then all is as it was."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong: with what, what was found, what to do about it.

    `mend` None is for what a person has to decide.
    """

    name: str
    level: Level
    found: str
    remedy: str
    mend: Mend | None = None


def error(name: str, found: str, remedy: str, mend: Mend | None = None) -> Fault:
    """Something can't work so."""
    return Fault(name, Level.ERROR, found, remedy, mend)


def warning(name: str, found: str, remedy: str, mend: Mend | None = None) -> Fault:
    """It works, and is not as it should be."""
    return Fault(name, Level.WARNING, found, remedy, mend)
