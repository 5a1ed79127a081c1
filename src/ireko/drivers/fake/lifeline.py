"""The life of the process that a driver runs in, so that a test can end it without ending itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Lifeline:
    """Once cut, nothing that asks over it gets an answer any more."""

    def __init__(self) -> None:
        self._is_cut = False
        self._last_wishes: list[Callable[[], None]] = []

    async def check(self) -> None:
        """Returns while the driver lives; afterwards never."""
        if self._is_cut:
            await asyncio.get_running_loop().create_future()

    def when_cut(self, wish: Callable[[], None]) -> None:
        """Have something done in its last moment: what the operating system does for a process that ends."""
        self._last_wishes.append(wish)

    def cut(self) -> None:
        """May be repeated."""
        self._is_cut = True
        for wish in self._last_wishes:
            wish()
        self._last_wishes.clear()
