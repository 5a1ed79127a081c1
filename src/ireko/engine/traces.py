"""When things happened that no daemon saw: what the times of a container's files tell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ireko.engine import machines
from ireko.engine.context import now

_OURS = {"log.index", "client_key", "host_key"}


def last_sign(directory: Path) -> datetime:
    """When the machine of a folder last wrote anything, as near as can be told to when it ended."""
    times = [path.stat().st_mtime for path in directory.iterdir() if path.is_file() and path.name not in _OURS]
    return min(now(), _moment(max(times))) if times else now()


def start(directory: Path) -> datetime:
    """When the machine of a folder was started: its seed is written right before."""
    try:
        return _moment((directory / machines.SEED).stat().st_mtime)
    except OSError:
        return now()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
