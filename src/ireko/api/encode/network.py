"""Networks: the one that every machine has for itself, and none."""

from __future__ import annotations

import hashlib
from typing import Any

from ireko.api.encode.times import NEVER
from ireko.errors import NotFound
from ireko.model.container import Container, PortMapping

BRIDGE, NONE = "bridge", "none"
_ADDRESS, _PREFIX, _GATEWAY = "10.0.2.15", 24, "10.0.2.2"
"""What the hypervisor's user-mode network gives to each guest."""
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - how docker writes "every address"


def _network_id(name: str) -> str:
    return hashlib.sha256(f"ireko network {name}".encode()).hexdigest()


_IDS = {name: _network_id(name) for name in (BRIDGE, NONE)}


def network_name(container: Container) -> str:
    """The network that a container is on."""
    return NONE if container.spec.network == NONE else BRIDGE


def endpoint(container: Container, *, mac: str = "") -> dict[str, Any]:
    """How a container stands on its network."""
    name = network_name(container)
    on = name == BRIDGE and container.status.has_machine
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": mac if on else "",
        "DriverOpts": None,
        "NetworkID": _IDS[name],
        "EndpointID": "",
        "Gateway": _GATEWAY if on else "",
        "IPAddress": _ADDRESS if on else "",
        "IPPrefixLen": _PREFIX if on else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def host_ip(mapping: PortMapping) -> str:
    """The host's address of a published port."""
    return mapping.host_ip or _EVERYWHERE


def networks(containers: list[Container]) -> list[dict[str, Any]]:
    """Both networks, with the containers that run on them."""
    return [_network(name, [each for each in containers if network_name(each) == name]) for name in (BRIDGE, NONE)]


def find(written: str, containers: list[Container]) -> dict[str, Any]:
    """A network by name, id, or the beginning of one. Raises NotFound."""
    name = "bridge" if written == "default" else written
    for network in networks(containers):
        if network["Name"] == name or network["Id"].startswith(written):
            return network
    raise NotFound(f"network {written} not found", hint='there are the networks "bridge" and "none"')


def _network(name: str, containers: list[Container]) -> dict[str, Any]:
    own = name == BRIDGE
    return {
        "Name": name,
        "Id": _IDS[name],
        "Created": NEVER,
        "Scope": "local",
        "Driver": "user" if own else "null",
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": "10.0.2.0/24", "Gateway": _GATEWAY}] if own else [],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            each.id: {
                "Name": each.name,
                "EndpointID": "",
                "MacAddress": "",
                "IPv4Address": f"{_ADDRESS}/{_PREFIX}" if own else "",
                "IPv6Address": "",
            }
            for each in containers
            if each.status.has_machine
        },
        "Options": {},
        "Labels": {},
    }
