"""What upkeep did and found."""

from __future__ import annotations

from typing import Any

from ireko.engine.upkeep.checking import Checked
from ireko.engine.upkeep.compacting import Compacted


def compacted(done: Compacted) -> dict[str, Any]:
    """The last line of `POST /ireko/compact`."""
    return {
        "SpaceReclaimed": done.reclaimed,
        "LookedAt": done.looked_at,
        "Shrunk": [{"Name": each.name, "Before": each.before, "After": each.after} for each in done.shrunk],
        "Left": [{"Name": each.name, "Why": each.why, "Failed": each.failed} for each in done.left],
    }


def checked(done: Checked) -> dict[str, Any]:
    """The last line of `POST /ireko/check`."""
    return {
        "Images": done.images,
        "Layers": done.layers,
        "Containers": done.containers,
        "Volumes": done.volumes,
        "Deep": done.deep,
        "Findings": [
            {
                "Name": each.name,
                "Level": each.level.value,
                "Found": each.found,
                "Remedy": each.remedy,
                "Repaired": each.repaired,
            }
            for each in done.found
        ],
    }
