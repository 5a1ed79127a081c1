"""Sizes and durations as docker writes them for people."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import click

from ireko.errors import InvalidInput

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def human_size(size: float, *, digits: int = 4) -> str:
    """Powers of 1000, with that many significant digits: `1.2MB`."""
    return _scaled(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float, *, digits: int = 4) -> str:
    """Powers of 1024: `1.5MiB`."""
    return _scaled(size, 1024.0, _BINARY, digits)


def _scaled(size: float, base: float, names: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(names) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{names[step]}"


def human_duration(length: timedelta) -> str:
    """`Less than a second`, `5 seconds`, `About a minute`, `2 weeks`."""
    seconds = int(length.total_seconds())
    minutes, hours = seconds // 60, int(length.total_seconds() / 3600 + 0.5)
    days = hours // 24
    steps = (
        (seconds < 1, "Less than a second"),
        (seconds == 1, "1 second"),
        (seconds < 60, f"{seconds} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 14, f"{days} days"),
        (hours < 24 * 60, f"{days // 7} weeks"),
        (hours < 24 * 365 * 2, f"{days // 30} months"),
    )
    return next((words for fits, words in steps if fits), f"{seconds // 3600 // 24 // 365} years")


def since(moment: float, now: datetime) -> str:
    """How long ago a Unix time was: `3 minutes ago`."""
    return f"{human_duration(now - datetime.fromtimestamp(moment, UTC))} ago"


def local_time(moment: float) -> str:
    """A Unix time as Go writes it in local time: `2026-11-24 15:04:05 +0000 UTC`."""
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z")


def parse_size(text: str) -> int:
    """Bytes of `512m`, `1.5g`, `64MB`, `100`. Raises InvalidInput."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f'invalid size: "{text}"', hint="write a number with b, k, m, g or t, like 512m")
    power = " kmgtp".index((match[2] or " ").lower())
    return int(float(match[1]) * 1024**power)


def parse_duration(text: str) -> timedelta | None:
    """`1h30m`, `10s`, as Go writes durations; None when the text is none."""
    if not text or _DURATION.sub("", text):
        return None
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text)))


def timestamp(text: str, now: datetime) -> str:
    """Seconds since 1970, from a duration back from now, a date, or such seconds. Raises InvalidInput."""
    if not text:
        return ""
    if (back := parse_duration(text)) is not None:
        return f"{(now - back).timestamp():.9f}"
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f'"{text}" is no time', hint="write 10m, 2026-11-24T15:04:05Z or seconds since 1970"
        ) from error
    return f"{(moment if moment.tzinfo else moment.astimezone()).timestamp():.9f}"


def processors(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """What click calls with a number of processors: parts of one are one, 0 is what is usual. Raises BadParameter."""
    if not math.isfinite(value) or value < 0:
        raise click.BadParameter(f"'{value}' is no number of processors", ctx, param)
    return value
