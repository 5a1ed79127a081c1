"""The life of the process that a driver runs in, so that a test can end it without ending itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Lifeline:
    """Once cut, nothing that asks over it gets an answer any more."""

    def __init__(self) -> None:
        self.is_cut = False
        self._last_wishes: set[Callable[[], None]] = set()

    async def check(self) -> None:
        """Returns while the driver lives; afterwards never."""
        if self.is_cut:
            await asyncio.get_running_loop().create_future()

    def when_cut(self, wish: Callable[[], None]) -> Callable[[], None]:
        """Have something done in its last moment, as the operating system does for a process that ends.

        The result withdraws it, and may be called again.
        """
        self._last_wishes.add(wish)
        return lambda: self._last_wishes.discard(wish)

    def cut(self) -> None:
        """May be repeated."""
        self.is_cut = True
        for wish in tuple(self._last_wishes):
            wish()
        self._last_wishes.clear()
