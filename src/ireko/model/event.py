"""What happened, as docker's `events` tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Event:
    """`kind` is container, image, volume or daemon; `actor` the object's id or name."""

    kind: str
    action: str
    actor: str
    time: datetime
    attributes: dict[str, str] = field(default_factory=dict)
