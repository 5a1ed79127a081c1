"""What runs in a container, by docker's rules for image, entrypoint and command."""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ireko.model.container import Container, Mount, MountKind
from ireko.model.image import Image, ImageConfig
from ireko.model.names import short

_ID_LENGTH = 64
_BARE = ImageConfig()


def image_config(image: Image | None) -> ImageConfig:
    """The image's config; an empty one when the image is gone."""
    return _BARE if image is None else image.config


def argv(container: Container, image: Image | None) -> tuple[str, ...]:
    """The first process: the command, or the image's own."""
    return container.process.argv or (image_config(image).init or "",)


def labels(container: Container, image: Image | None) -> dict[str, str]:
    """The image's labels and the container's."""
    inherited = image_config(image).labels
    return {**inherited, **container.spec.labels} if inherited else container.spec.labels


def exposed_ports(container: Container, image: Image | None) -> list[str]:
    """Each port that is exposed or published, once."""
    published = (mapping.key for mapping in container.published)
    return list(dict.fromkeys((*image_config(image).exposed_ports, *container.spec.exposed_ports, *published)))


def config(container: Container, image: Image | None) -> dict[str, Any]:
    """docker's `Config` of a container."""
    spec, inherited = container.spec, image_config(image)
    entrypoint = inherited.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.command if spec.command or spec.entrypoint is not None else inherited.command
    return {
        "Hostname": spec.hostname or short(container.id),
        "Domainname": "",
        "User": container.process.user,
        **{f"Attach{name.title()}": name in spec.attach for name in ("stdin", "stdout", "stderr")},
        "ExposedPorts": {port: {} for port in exposed_ports(container, image)},
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "StdinOnce": spec.stdin_once,
        "Env": list(container.process.environment),
        "Cmd": list(command or ()) or None,
        "Image": spec.image,
        "Volumes": {mount.target: {} for mount in spec.mounts if is_unnamed(mount)} or None,
        "WorkingDir": container.process.workdir,
        "Entrypoint": list(entrypoint) or None,
        "OnBuild": None,
        "Labels": labels(container, image),
        "StopSignal": spec.stop_signal or inherited.stop_signal or "SIGTERM",
        "StopTimeout": container.stop_timeout,
    }


def is_unnamed(mount: Mount) -> bool:
    """Whether it is a volume that was given an id for a name."""
    return (
        mount.kind is MountKind.VOLUME
        and len(mount.source) == _ID_LENGTH
        and all(letter in string.hexdigits for letter in mount.source)
    )


def binds(mounts: Iterable[Mount]) -> list[str]:
    """Mounts in `-v`'s words."""
    return [
        f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}" for mount in mounts if not is_unnamed(mount)
    ]


def mount_point(mount: Mount, root: Path) -> dict[str, Any]:
    """docker's `Mounts` entry; a volume's source is its folder under our root."""
    named = mount.kind is MountKind.VOLUME
    return {
        "Type": mount.kind.value,
        **({"Name": mount.source} if named else {}),
        "Source": str(root / "volumes" / mount.source) if named else mount.source,
        "Destination": mount.target,
        **({"Driver": "local"} if named else {}),
        "Mode": "ro" if mount.read_only else "",
        "RW": not mount.read_only,
        "Propagation": "" if named else "rprivate",
    }
