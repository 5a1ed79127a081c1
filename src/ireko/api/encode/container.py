"""Everything about one container, as `inspect` shows it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ireko.api.encode.config import argv, binds, config, exposed_ports, mount_point
from ireko.api.encode.network import endpoint, host_ip, network_name
from ireko.api.encode.times import rfc3339
from ireko.engine.containers import Sizes
from ireko.model.container import Container, LogLimit, PortMapping, Status
from ireko.model.image import Image

_NANO = 1_000_000_000
_LETTERS = "kmgtp"


def inspection(
    container: Container,
    image: Image | None,
    *,
    driver: str,
    root: Path,
    execs: Iterable[str],
    sizes: Sizes | None,
) -> dict[str, Any]:
    """docker's answer to `inspect`, and `System`: whether the image's own system runs, with a console.

    `driver` is the disks' format, `execs` the ids of the commands that run in it.
    """
    path, *arguments = argv(container, image)
    return {
        "Id": container.id,
        "Created": rfc3339(container.created),
        "Path": path,
        "Args": arguments,
        "State": state(container),
        "Image": container.image,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "",
        "Name": f"/{container.name}",
        "RestartCount": container.restarts,
        "Driver": driver,
        "Platform": "linux",
        "System": container.system,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(execs) or None,
        "HostConfig": host_config(container),
        "GraphDriver": {"Name": driver, "Data": {"ParentLayer": container.parent}},
        **({"SizeRw": sizes.own, "SizeRootFs": sizes.total} if sizes else {}),
        "Mounts": [mount_point(mount, root) for mount in container.spec.mounts],
        "Config": config(container, image),
        "NetworkSettings": network_settings(container, image),
    }


def state(container: Container) -> dict[str, Any]:
    """docker's `State`; a paused or restarting container counts as running."""
    status = container.status
    return {
        "Status": status.value,
        "Running": status.has_machine or status is Status.RESTARTING,
        "Paused": status is Status.PAUSED,
        "Restarting": status is Status.RESTARTING,
        "OOMKilled": False,
        "Dead": status is Status.DEAD,
        "Pid": 0,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": rfc3339(container.started),
        "FinishedAt": rfc3339(container.finished),
    }


def host_config(container: Container) -> dict[str, Any]:
    """docker's `HostConfig`, as far as it means something to a machine."""
    spec = container.spec
    return {
        "Binds": binds(spec.mounts) or None,
        "ContainerIDFile": "",
        "LogConfig": log_config(spec.log),
        "NetworkMode": network_name(container),
        "PortBindings": _bindings(spec.ports),
        "RestartPolicy": {"Name": spec.restart.name.value, "MaximumRetryCount": spec.restart.maximum},
        "AutoRemove": spec.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "ConsoleSize": [0, 0],
        "CapAdd": None,
        "CapDrop": None,
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": None,
        "GroupAdd": None,
        "IpcMode": "private",
        "Links": None,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": spec.publish_all,
        "ReadonlyRootfs": False,
        "SecurityOpt": None,
        "UTSMode": "",
        "ShmSize": 0,
        "Runtime": "ireko",
        "Isolation": "",
        "CpuShares": 0,
        "Memory": container.memory,
        "NanoCpus": int(container.cpus * _NANO),
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "MemorySwap": 0,
        "PidsLimit": None,
        "Ulimits": None,
    }


def log_config(limit: LogLimit) -> dict[str, Any]:
    """docker's `LogConfig`: what is kept, be it that it was asked for or not."""
    return {"Type": "json-file", "Config": {"max-size": _thousands(limit.max_size), "max-file": str(limit.max_file)}}


def _thousands(size: int) -> str:
    """As short as it can be said: `10m`."""
    for power in range(len(_LETTERS), 0, -1):
        if size % 1000**power == 0:
            return f"{size // 1000**power}{_LETTERS[power - 1]}"
    return str(size)


def network_settings(container: Container, image: Image | None) -> dict[str, Any]:
    """docker's `NetworkSettings`; ports are told while it runs."""
    name, place = network_name(container), endpoint(container)
    ports: dict[str, Any] = {}
    if container.status.has_machine:
        ports = {**dict.fromkeys(exposed_ports(container, image)), **_bindings(container.published, resolved=True)}
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": ports,
        "Gateway": place["Gateway"],
        "IPAddress": place["IPAddress"],
        "IPPrefixLen": place["IPPrefixLen"],
        "MacAddress": place["MacAddress"],
        "Networks": {name: place},
    }


def _bindings(mappings: Iterable[PortMapping], *, resolved: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mapping in mappings:
        written = host_ip(mapping) if resolved else mapping.host_ip
        port = str(mapping.host_port) if mapping.host_port else ""
        found.setdefault(mapping.key, []).append({"HostIp": written, "HostPort": port})
    return found
