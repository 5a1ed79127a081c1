"""Times as docker writes them."""

from __future__ import annotations

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400


def rfc3339(moment: datetime | None) -> str:
    """`2026-01-31T12:00:00.123456Z`; docker's word for never when there is none."""
    return NEVER if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def log_time(moment: datetime) -> str:
    """With all nine digits of a fraction, so that log lines align."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def nanoseconds(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def duration(seconds: float) -> str:
    """A length of time for people: "3 minutes", "About an hour"."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return "Less than a second" if whole < _SECOND else _count(whole, "second")
    if whole < _HOUR:
        minutes = whole // _MINUTE
        return "About a minute" if minutes == 1 else _count(minutes, "minute")
    hours = round(seconds / _HOUR)
    if hours < 48:
        return "About an hour" if hours == 1 else _count(hours, "hour")
    days = int(seconds / _DAY)
    for most, unit, length in ((14, "day", 1), (60, "week", 7), (730, "month", 30)):
        if days < most:
            return _count(days // length, unit)
    return _count(days // 365, "year")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
