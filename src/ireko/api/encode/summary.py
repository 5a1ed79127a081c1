"""Containers as rows of a list. Called for each container of each `ps`: it looks nothing up."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from ireko.api.encode.config import argv, exposed_ports, labels, mount_point
from ireko.api.encode.network import endpoint, host_ip, network_name
from ireko.api.encode.times import duration
from ireko.engine.containers import Sizes
from ireko.model.container import Container, Status
from ireko.model.image import Image

_PLAIN = re.compile(r"\S+")


def summary(
    container: Container, image: Image | None, names: Collection[str], *, now: datetime, root: Path
) -> dict[str, Any]:
    """One row of `GET /containers/json`; `names` are the image's."""
    network = network_name(container)
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": image_name(container, names),
        "ImageID": container.image,
        "Command": command(argv(container, image)),
        "Created": int(container.created.timestamp()),
        "Ports": ports(container, image),
        "Labels": labels(container, image),
        "State": container.status.value,
        "Status": status(container, now),
        "HostConfig": {"NetworkMode": network},
        "NetworkSettings": {"Networks": {network: endpoint(container)}},
        "Mounts": [mount_point(mount, root) for mount in container.spec.mounts],
    }


def with_sizes(row: dict[str, Any], sizes: Sizes) -> dict[str, Any]:
    """The row, with what the container takes on the host's disk."""
    return {**row, "SizeRw": sizes.own, "SizeRootFs": sizes.total}


def image_name(container: Container, names: Collection[str]) -> str:
    """The image as its user wrote it; its id when that means another image by now."""
    written = container.spec.image
    plain = written.removeprefix("docker.io/").removeprefix("library/")
    if plain in names or f"{plain}:latest" in names or container.image.removeprefix("sha256:").startswith(written):
        return written
    return container.image


def command(words: tuple[str, ...]) -> str:
    """One line; words with spaces are quoted."""
    return " ".join(word if _PLAIN.fullmatch(word) else f"'{word}'" for word in words)


def status(container: Container, now: datetime) -> str:
    """How it stands, in docker's words."""
    match container.status:
        case Status.RUNNING:
            return f"Up {_since(container.started, now)}"
        case Status.PAUSED:
            return f"Up {_since(container.started, now)} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({container.exit_code}) {_since(container.finished, now)} ago"
        case Status.EXITED:
            return f"Exited ({container.exit_code}) {_since(container.finished, now)} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case _:
            return str(container.status.value).capitalize()


def _since(moment: datetime | None, now: datetime) -> str:
    return duration((now - moment).total_seconds() if moment else 0)


def ports(container: Container, image: Image | None) -> list[dict[str, Any]]:
    """The ports of a container that runs."""
    if not container.status.has_machine:
        return []
    published = [
        {
            "IP": host_ip(mapping),
            "PrivatePort": mapping.port,
            "PublicPort": mapping.host_port,
            "Type": mapping.protocol,
        }
        for mapping in container.published
    ]
    reached = {mapping.key for mapping in container.published}
    return published + [_exposed(port) for port in exposed_ports(container, image) if port not in reached]


def _exposed(port: str) -> dict[str, Any]:
    number, _, protocol = port.partition("/")
    return {"PrivatePort": int(number), "Type": protocol or "tcp"}
