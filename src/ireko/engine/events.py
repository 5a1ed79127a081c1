"""What happens, for whoever listens."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from ireko.model.event import Event

_KEPT = 1000


class Events:
    """The last thousand events, and those that come."""

    def __init__(self) -> None:
        self._past: deque[Event] = deque(maxlen=_KEPT)
        # Weak, because a stream that is never read is never closed either.
        self._listeners: weakref.WeakSet[asyncio.Queue[Event]] = weakref.WeakSet()

    def publish(self, kind: str, action: str, actor: str, attributes: dict[str, str] | None = None) -> None:
        """Tell everyone who listens, and remember it."""
        event = Event(kind, action, actor, datetime.now(UTC), attributes or {})
        self._past.append(event)
        for queue in self._listeners:
            queue.put_nowait(event)

    def stream(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Event]:
        """The remembered events from `since` on (none without it), then each as it happens; ends at `until`.

        Nothing is missed between this call and the first piece.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        past = [event for event in self._past if since is not None and since <= event.time]
        return self._follow(queue, past, until)

    async def _follow(
        self, queue: asyncio.Queue[Event], past: list[Event], until: datetime | None
    ) -> AsyncIterator[Event]:
        try:
            for event in past:
                if until is None or event.time <= until:
                    yield event
            while True:
                event = await _next(queue, until)
                yield event
        except TimeoutError:
            return
        finally:
            self._listeners.discard(queue)


async def _next(queue: asyncio.Queue[Event], until: datetime | None) -> Event:
    left = None if until is None else max(0.0, (until - datetime.now(UTC)).total_seconds())
    return await asyncio.wait_for(queue.get(), left)
