"""The daemon and its host."""

from __future__ import annotations

import platform
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ireko import __version__
from ireko.api.facts import Facts
from ireko.api.versions import CURRENT, OLDEST
from ireko.drivers.base import Abilities, Finding, HostReport, Level
from ireko.engine.system import TreeNode
from ireko.model.container import Container, Status

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


def version(report: HostReport, abilities: Abilities) -> dict[str, Any]:
    """docker's answer to `version`."""
    ours = {
        "ApiVersion": str(CURRENT),
        "MinAPIVersion": str(OLDEST),
        "Os": platform.system().lower(),
        "Arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "KernelVersion": platform.release(),
    }
    return {
        "Platform": {"Name": "ireko"},
        "Components": [
            {"Name": "Engine", "Version": __version__, "Details": {**ours, "Experimental": "false"}},
            {"Name": abilities.name, "Version": report.version, "Details": {"Accelerator": report.accelerator}},
        ],
        "Version": __version__,
        **ours,
        "GitCommit": "",
        "GoVersion": "",
        "BuildTime": "",
    }


_INFO: dict[str, Any] = {
    "MemoryLimit": True,
    "SwapLimit": False,
    "CpuCfsPeriod": False,
    "CpuCfsQuota": False,
    "PidsLimit": False,
    "IPv4Forwarding": True,
    "Debug": False,
    "NFd": 0,
    "NGoroutines": 0,
    "NEventsListener": 0,
    "IndexServerAddress": "",
    "RegistryConfig": None,
    "GenericResources": None,
    "HttpProxy": "",
    "HttpsProxy": "",
    "NoProxy": "",
    "Labels": [],
    "ExperimentalBuild": False,
    "LiveRestoreEnabled": True,
    "Isolation": "",
    "InitBinary": "",
    "LoggingDriver": "json-file",
    "CgroupDriver": "none",
    "OSType": "linux",
    "DefaultRuntime": "ireko",
    "SecurityOptions": ["name=machine"],
    "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": ""},
    "Plugins": {"Volume": ["local"], "Network": ["user", "null"], "Authorization": None, "Log": ["json-file"]},
}
"""What is the same on every host, of docker's answer to `info`."""


def info(
    containers: Iterable[Container], *, images: int, report: HostReport, abilities: Abilities, root: Path, facts: Facts
) -> dict[str, Any]:
    """docker's answer to `info`."""
    count = Counter(container.status for container in containers)
    running, paused = count[Status.RUNNING], count[Status.PAUSED]
    return {
        **_INFO,
        "ID": str(uuid.uuid5(uuid.NAMESPACE_URL, root.as_uri())),
        "Containers": count.total(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": count.total() - running - paused,
        "Images": images,
        "Driver": abilities.disk_format,
        "DriverStatus": [["Hypervisor", f"{abilities.name} {report.version}"], ["Accelerator", report.accelerator]],
        "SystemTime": facts.time,
        "KernelVersion": platform.release(),
        "OperatingSystem": facts.operating_system,
        "Architecture": platform.machine(),
        "NCPU": facts.processors,
        "MemTotal": facts.memory,
        "DockerRootDir": str(root),
        "Name": platform.node(),
        "ServerVersion": __version__,
        "Runtimes": {"ireko": {"path": abilities.name}},
        "Warnings": [f"WARNING: {each.name}: {each.found}" for each in report.findings if each.level is not Level.OK],
    }


def tree_node(node: TreeNode) -> dict[str, Any]:
    """A node of `GET /ireko/tree`, with all below it."""
    return {
        "Kind": node.kind,
        "Id": node.id,
        "Names": list(node.names),
        "Size": node.size,
        "Status": node.status,
        "Children": [tree_node(child) for child in node.children],
    }


def finding(found: Finding) -> dict[str, str]:
    """A line of `GET /ireko/doctor`."""
    return {"Name": found.name, "Level": found.level.value, "Found": found.found, "Remedy": found.remedy}
