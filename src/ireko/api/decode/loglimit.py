"""`LogConfig`: how much of a container's output is kept."""

from __future__ import annotations

import re

from ireko.api.decode.bodies import LogConfig
from ireko.api.decode.numbers import whole
from ireko.errors import InvalidInput
from ireko.model.container import LogLimit

_OURS = {"", "json-file", "local"}
"""The log drivers that keep output in files, as we do."""
_WITHOUT_MEANING = {"compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_THOUSAND = 1000
"""docker counts these sizes in thousands, `i` or not."""
_LARGEST = 1 << 62


def log_limit(config: LogConfig) -> LogLimit:
    """What is kept; of other log drivers' options none is looked at. Raises InvalidInput."""
    options = config.config or {}
    if (config.type or "") not in _OURS:
        return LogLimit()
    if unknown := sorted(options.keys() - _WITHOUT_MEANING - {"max-size", "max-file"}):
        raise InvalidInput(
            f"unknown log opt '{unknown[0]}' for {config.type or 'json-file'} log driver", hint="max-size and max-file"
        )
    default = LogLimit()
    return LogLimit(
        _size(options["max-size"]) if "max-size" in options else default.max_size,
        _count(options["max-file"]) if "max-file" in options else default.max_file,
    )


def unheeded_driver(config: LogConfig) -> str:
    """The log driver that was asked for when it is none of ours; else ""."""
    return "" if (config.type or "") in _OURS else config.type or ""


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    size = float(match[1]) * _THOUSAND ** " kmgtp".index(match[2].lower() or " ") if match else 0
    if not 1 <= size <= _LARGEST:
        raise InvalidInput(f'invalid max-size "{text}": it must be a positive number', hint="for example 10m")
    return int(size)


def _count(text: str) -> int:
    count = whole(text, _LARGEST)
    if not count:
        raise InvalidInput(f'invalid max-file "{text}": it cannot be less than 1', hint="for example 3")
    return count
