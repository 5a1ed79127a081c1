"""From a method and a path to the function that answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ireko.api.call import Handler

_PART = re.compile(r"\{(\w+)(\*?)\}")


@dataclass(frozen=True)
class Route:
    """`{ref}` in the path stands for a part without slashes, `{ref*}` for any (images' names have them).

    A `lasting` route ends when its client goes. Every other one is an order: once taken it is carried out, whether its
    client stays or not, as docker does.
    """

    method: str
    path: str
    handler: Handler
    lasting: bool = False

    def pattern(self) -> re.Pattern[str]:
        """What matches the path."""
        parts = _PART.split(self.path)
        written = [re.escape(parts[0])]
        for name, star, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            written += [f"(?P<{name}>{'.+' if star else '[^/]+'})", re.escape(rest)]
        return re.compile("".join(written))


@dataclass(frozen=True)
class Found:
    """A route, and the named parts of the path."""

    route: Route
    parts: dict[str, str]


class Router:
    """Looks routes up by method and first segment, then in the order in which they were given."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            self._routes.setdefault((route.method, _first(route.path)), []).append((route.pattern(), route))

    def find(self, method: str, path: str) -> Found | None:
        """The first route that fits."""
        for pattern, route in self._routes.get((method, _first(path)), ()):
            if match := pattern.fullmatch(path):
                return Found(route, match.groupdict())
        return None


def _first(path: str) -> str:
    return path[1:].partition("/")[0]
