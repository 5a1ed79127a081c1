"""Events."""

from __future__ import annotations

from typing import Any

from ireko.api.encode.times import nanoseconds
from ireko.model.event import Event


def event_message(event: Event) -> dict[str, Any]:
    """One line of `GET /events`; `status`, `id` and `from` are for clients of the API's first years."""
    moment = nanoseconds(event.time)
    old: dict[str, str] = {}
    if event.kind in {"container", "image"}:
        old = {"status": event.action, "id": event.actor}
        if event.kind == "container":
            old["from"] = event.attributes.get("image", "")
    return {
        **old,
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": event.attributes},
        "scope": "local",
        "time": moment // 1_000_000_000,
        "timeNano": moment,
    }
