"""The bodies of requests, with docker's names. Clients in Go send null for what is not set, so everything may be None.

https://docs.docker.com/reference/api/engine/version/v1.47/
"""

from __future__ import annotations

from typing import Any

import msgspec

Words = str | list[str] | None
"""A command: a list, or for old clients one word."""
Bag = dict[str, Any] | None


class Body(msgspec.Struct, rename="pascal"):
    """Fields that are not named here are ignored."""


class PortBinding(Body):
    """Where the host publishes a port."""

    host_ip: str | None = None
    host_port: str | None = None


class RestartPolicy(Body):
    """When to start again."""

    name: str | None = None
    maximum_retry_count: int | None = None


class Mount(Body):
    """One `--mount`."""

    type: str | None = None
    source: str | None = None
    target: str | None = None
    read_only: bool | None = None


class LogConfig(Body):
    """Where output goes, and how much of it is kept."""

    type: str | None = None
    config: dict[str, str] | None = None


class HostConfig(Body):
    """What of docker's host config means something here, be it that it is refused or warned of."""

    auto_remove: bool | None = None
    binds: list[str] | None = None
    mounts: list[Mount] | None = None
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    publish_all_ports: bool | None = None
    network_mode: str | None = None
    restart_policy: RestartPolicy | None = None
    log_config: LogConfig | None = None
    memory: int | None = None
    nano_cpus: int | None = None
    cpu_count: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    console_size: list[int] | None = None
    # refused
    devices: list[Any] | None = None
    device_requests: list[Any] | None = None
    links: list[str] | None = None
    volumes_from: list[str] | None = None
    pid_mode: str | None = None
    ipc_mode: str | None = None
    volume_driver: str | None = None
    # warned of
    readonly_rootfs: bool | None = None
    tmpfs: dict[str, str] | None = None
    dns: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    sysctls: dict[str, str] | None = None
    group_add: list[str] | None = None


class CreateBody(Body):
    """`POST /containers/create`."""

    image: str | None = None
    hostname: str | None = None
    user: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    exposed_ports: Bag = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    env: list[str] | None = None
    cmd: Words = None
    entrypoint: Words = None
    healthcheck: Bag = None
    volumes: Bag = None
    working_dir: str | None = None
    network_disabled: bool | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    host_config: HostConfig | None = None


class ExecBody(Body):
    """`POST /containers/{ref}/exec`."""

    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    tty: bool | None = None
    env: list[str] | None = None
    cmd: Words = None
    user: str | None = None
    working_dir: str | None = None
    console_size: list[int] | None = None


class ExecStartBody(Body):
    """`POST /exec/{id}/start`."""

    detach: bool | None = None
    tty: bool | None = None
    console_size: list[int] | None = None


class VolumeBody(Body):
    """`POST /volumes/create`."""

    name: str | None = None
    driver: str | None = None
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class CommitBody(Body):
    """`POST /commit`: what the image's config is to say instead of the container's."""

    user: str | None = None
    exposed_ports: Bag = None
    env: list[str] | None = None
    cmd: Words = None
    entrypoint: Words = None
    volumes: Bag = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None


def words(value: Words) -> tuple[str, ...]:
    """A command's words."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def size(value: list[int] | None) -> tuple[int, int] | None:
    """A terminal's rows and columns, when they are given and none is 0."""
    if value is None or len(value) != 2 or not all(0 < number <= 0xFFFF for number in value):
        return None
    return value[0], value[1]
