"""Volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ireko.api.encode.times import rfc3339
from ireko.engine.system import VolumeUsage
from ireko.model.volume import Volume


def volume_row(volume: Volume, root: Path) -> dict[str, Any]:
    """A volume. `Mountpoint` is the folder of its disk: the files in it are in a file system of the guest's."""
    return {
        "CreatedAt": rfc3339(volume.created),
        "Driver": "local",
        "Labels": volume.labels or None,
        "Mountpoint": str(root / "volumes" / volume.name),
        "Name": volume.name,
        "Options": None,
        "Scope": "local",
    }


def volume_usage(usage: VolumeUsage, root: Path) -> dict[str, Any]:
    """One volume of `GET /system/df`."""
    return {**volume_row(usage.volume, root), "UsageData": {"RefCount": usage.users, "Size": usage.size}}
