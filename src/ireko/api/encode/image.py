"""Images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ireko.api.encode.times import rfc3339
from ireko.engine.images import HistoryRow, Removed
from ireko.engine.system import ImageUsage
from ireko.model.image import Image, ImageConfig


def image_row(
    image: Image, names: Iterable[str], size: int, *, shared: int = -1, containers: int = -1
) -> dict[str, Any]:
    """One row of `GET /images/json`; -1 means not counted."""
    return {
        "Id": image.id,
        "ParentId": image.parent or "",
        "RepoTags": list(names),
        "RepoDigests": [],
        "Created": int(image.created.timestamp()),
        "Size": size,
        "VirtualSize": size,
        "SharedSize": shared,
        "Containers": containers,
        "Labels": image.config.labels,
    }


def image_usage(usage: ImageUsage, names: Iterable[str]) -> dict[str, Any]:
    """One image of `GET /system/df`."""
    return image_row(usage.image, names, usage.size, shared=usage.shared, containers=usage.containers)


def image_inspection(
    image: Image, names: Iterable[str], size: int, *, driver: str, sector_size: int, linked: Iterable[str]
) -> dict[str, Any]:
    """docker's answer to `inspect`.

    `driver` is the disks' format, `sector_size` what guests see, in bytes; `linked` are the files that it stands on and we don't
    own.
    """
    return {
        "Id": image.id,
        "RepoTags": list(names),
        "RepoDigests": [],
        "Parent": image.parent or "",
        "Comment": image.comment,
        "Created": rfc3339(image.created),
        "DockerVersion": "",
        "Author": image.author,
        "Config": image_config(image.config),
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": size,
        "VirtualSize": size,
        "GraphDriver": {"Name": driver, "Data": {"Layer": image.top}},
        # Layers are named by id, as they are disks rather than archives with a digest.
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{layer}" for layer in image.layers]},
        "Metadata": {"LastTagTime": rfc3339(None)},
        "Machine": {**machine(image.config), "SectorSize": sector_size},
        "Linked": list(linked),
    }


def machine(config: ImageConfig) -> dict[str, Any]:
    """What a machine on the image is: ours, docker has no word for it. Memory in bytes."""
    firmware = {1: "bios", 2: "uefi"}[config.generation]
    return {
        "Boot": "kernel" if config.boot else firmware,
        "Generation": config.generation,
        "Hardware": config.hardware.value,
        "Cpus": config.cpus,
        "Memory": config.memory,
    }


def image_config(config: ImageConfig) -> dict[str, Any]:
    """docker's `Config` of an image."""
    return {
        "Hostname": "",
        "Domainname": "",
        "User": config.user,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "ExposedPorts": {port: {} for port in config.exposed_ports} or None,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": list(config.environment),
        "Cmd": list(config.command or ((config.init,) if config.init else ())) or None,
        "Image": "",
        "Volumes": {path: {} for path in config.volumes} or None,
        "WorkingDir": config.workdir,
        "Entrypoint": list(config.entrypoint) or None,
        "OnBuild": None,
        "Labels": config.labels,
        "StopSignal": config.stop_signal,
        "StopTimeout": config.stop_timeout,
    }


def history_row(row: HistoryRow) -> dict[str, Any]:
    """One row of `GET /images/{name}/history`."""
    return {
        "Id": row.id,
        "Created": int(row.created.timestamp()),
        "CreatedBy": row.created_by,
        "Tags": list(row.tags) or None,
        "Size": row.size,
        "Comment": row.comment,
    }


def removed(each: Removed) -> dict[str, str]:
    """One thing that a removal did."""
    return {"Untagged": each.untagged} if each.untagged else {"Deleted": each.deleted}
