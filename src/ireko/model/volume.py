"""Named volumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Volume:
    """A data disk with a file system, which outlives the containers that use it. `capacity` is in bytes."""

    name: str
    created: datetime
    capacity: int
    labels: dict[str, str] = field(default_factory=dict)
