"""A request's query, read as docker reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from multidict import MultiMapping

from ireko.errors import InvalidInput

_FALSE = {"", "0", "no", "false", "none"}


class Query:
    """Reads parameters; InvalidInput names the one that makes no sense."""

    def __init__(self, values: MultiMapping[str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """As it is written."""
        return self._values.get(name, default)

    def texts(self, name: str) -> list[str]:
        """A parameter that may be repeated."""
        return self._values.getall(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """docker's booleans: all is true but `0`, `no`, `false`, `none` and nothing."""
        value = self._values.get(name)
        return default if value is None else value.strip().lower() not in _FALSE

    def number(self, name: str) -> int | None:
        """A whole number; None when it is not given. Raises InvalidInput."""
        value = self._values.get(name, "")
        if not value:
            return None
        try:
            return int(value)
        except ValueError as error:
            raise InvalidInput(f'invalid value for "{name}": "{value}" is no whole number') from error

    def size(self, name: str) -> int:
        """Rows or columns of a terminal. Raises InvalidInput."""
        number = self.number(name)
        if number is None or not 0 <= number <= 0xFFFF:
            raise InvalidInput(f'invalid value for "{name}": "{self.text(name)}" is no number of rows or columns')
        return number

    def moment(self, name: str) -> datetime | None:
        """A point in time; None when it is not given. Raises InvalidInput."""
        value = self._values.get(name, "")
        return None if value in {"", "0"} else moment(name, value)

    def filters(self) -> Filters:
        """The `filters` parameter."""
        return Filters.parse(self.text("filters"))


def moment(name: str, written: str) -> datetime:
    """Seconds since 1970, with a fraction if need be, or an RFC 3339 date. Raises InvalidInput."""
    try:
        return datetime.fromtimestamp(float(written), UTC)
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(written)
    except ValueError as error:
        raise InvalidInput(
            f'invalid value for "{name}": "{written}" is no time', hint="seconds since 1970, or 2026-01-31T12:00:00Z"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Filters:
    """docker's filters: for each key the values of which one must fit. Keys that nobody asks about are refused."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, text: str) -> Filters:
        """Read `{"key": ["value"]}`, or `{"key": {"value": true}}` as old clients write it. Raises InvalidInput."""
        if not text:
            return cls({})
        try:
            decoded = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
        except msgspec.DecodeError as error:
            raise InvalidInput(f"invalid filter: {error}") from error
        return cls({key: [*map(str, values)] for key, values in decoded.items() if values})

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def get(self, key: str) -> list[str]:
        """The values of a key."""
        return self._values.get(key, [])

    def flag(self, key: str, *, default: bool) -> bool:
        """A key that is true or false. Raises InvalidInput."""
        values = {value.lower() for value in self.get(key)}
        if not values:
            return default
        if values <= {"1", "true"}:
            return True
        if values <= {"0", "false"}:
            return False
        raise InvalidInput(f"invalid filter '{key}={self.get(key)[0]}'")

    def check(self, known: set[str]) -> Filters:
        """These filters. Raises InvalidInput for a key that is not known, as docker does: ignoring it would show too much."""
        for key in self._values:
            if key not in known:
                raise InvalidInput(f"invalid filter '{key}'", hint=f"known: {', '.join(sorted(known))}")
        return self
