"""The daemon itself and its host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ireko.client.client import Json, Wire, filters


class System:
    """What concerns no single object."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def version(self) -> Json:
        """What runs there."""
        found: Json = self._wire.fetch("GET", "/version")
        return found

    def info(self) -> Json:
        """How the daemon and its host stand."""
        found: Json = self._wire.fetch("GET", "/info")
        return found

    def disk_usage(self) -> Json:
        """What takes which space: {"LayersSize", "LayersReclaimable", "Images", …}."""
        found: Json = self._wire.fetch("GET", "/system/df")
        return found

    def events(self, *, since: str = "", until: str = "", where: Sequence[str] = ()) -> Iterator[Json]:
        """What happens, as it happens; without `until` it does not end."""
        return self._wire.lines("GET", "/events", query={"since": since, "until": until, "filters": filters(where)})

    def tree(self) -> list[Json]:
        """Layers, images and containers as a tree: [{"Kind", "Id", "Names", "Size", "Status", "Children"}]."""
        return list(self._wire.fetch("GET", "/ireko/tree"))

    def doctor(self) -> list[Json]:
        """What was found on the host: [{"Name", "Level", "Found", "Remedy"}]."""
        return list(self._wire.fetch("GET", "/ireko/doctor"))

    def compact(self) -> Iterator[Json]:
        """Have disks give back what zeros and unused blocks take. Lines of progress; the last one's "aux" says what was done:
        {"SpaceReclaimed", "LookedAt", "Shrunk": [{"Name", "Before", "After"}], "Left": [{"Name", "Why", "Failed"}]}.
        """
        return self._wire.lines("POST", "/ireko/compact")

    def check(self, *, deep: bool = False, repair: bool = False) -> Iterator[Json]:
        """Hold the database against the files. Lines of progress; the last one's "aux" says what was found:
        {"Images", "Layers", "Containers", "Volumes", "Deep", "Findings": [{"Name", "Level", "Found", "Remedy", "Repaired"}]}.
        """
        return self._wire.lines("POST", "/ireko/check", query={"deep": deep, "repair": repair})

    def stop(self) -> None:
        """End the daemon; machines go on."""
        self._wire.fetch("POST", "/ireko/stop")
