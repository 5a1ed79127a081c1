"""The body of `POST /containers/create` as a ContainerSpec, and what of it a machine can't honour."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.api.decode.bodies import CreateBody, HostConfig, LogConfig, RestartPolicy, words
from ireko.api.decode.loglimit import log_limit, unheeded_driver
from ireko.api.decode.mounts import mounts
from ireko.api.decode.ports import exposed, mappings
from ireko.errors import InvalidInput, NotFound, Unsupported
from ireko.model.container import ContainerSpec, RestartName
from ireko.model.container import RestartPolicy as Policy

_NANO = 1_000_000_000
_PERIOD = 100_000
"""Microseconds of the scheduler's period when none is given."""
_OWN_NETWORK = {"", "default", "bridge", "nat"}


def container_spec(body: CreateBody) -> ContainerSpec:
    """What was asked for. Raises InvalidInput for what makes no sense, Unsupported for what no machine can do."""
    host = body.host_config or HostConfig()
    if not body.image:
        raise InvalidInput("no image was named", hint="ireko images")
    _refuse(host)
    return ContainerSpec(
        image=body.image,
        command=words(body.cmd) or None,
        entrypoint=_entrypoint(words(body.entrypoint)),
        environment=tuple(body.env or ()),
        labels=dict(body.labels or {}),
        workdir=body.working_dir or "",
        user=body.user or "",
        hostname=body.hostname or "",
        tty=bool(body.tty),
        open_stdin=bool(body.open_stdin),
        stdin_once=bool(body.stdin_once),
        attach=tuple(_attached(body)),
        ports=tuple(mappings(host.port_bindings or {})),
        exposed_ports=tuple(exposed(body.exposed_ports or {})),
        publish_all=bool(host.publish_all_ports),
        mounts=tuple(mounts(host.binds or (), host.mounts or (), body.volumes or {})),
        network="none" if body.network_disabled else _network(host.network_mode or ""),
        memory=_positive("memory limit", host.memory),
        cpus=_cpus(host),
        restart=_restart(host.restart_policy or RestartPolicy()),
        auto_remove=bool(host.auto_remove),
        stop_signal=body.stop_signal or "",
        stop_timeout=body.stop_timeout,
        log=log_limit(host.log_config or LogConfig()),
    )


def unheeded(body: CreateBody) -> tuple[str, ...]:
    """Sentences about what was asked for and will not be done, though the container is made."""
    host = body.host_config or HostConfig()
    log_driver = unheeded_driver(host.log_config or LogConfig())
    found = (
        (host.readonly_rootfs, "The root file system stays writable: --read-only is not supported yet."),
        (host.tmpfs, "--tmpfs is not supported yet: what is written there goes to the container's disk."),
        (host.dns or host.dns_search, "--dns is ignored: the machine asks the host's name servers."),
        (host.extra_hosts, "--add-host is ignored: write the machine's /etc/hosts instead."),
        (host.sysctls, "--sysctl is ignored: the machine has a kernel of its own, set it from inside."),
        (host.group_add, "--group-add is ignored."),
        (log_driver, f"--log-driver {log_driver} is ignored: the output is kept for `logs`, and goes nowhere else."),
        (_has_check(body), "The health check is ignored: health checks are not supported yet."),
    )
    return tuple(sentence for asked, sentence in found if asked)


def _has_check(body: CreateBody) -> bool:
    test = (body.healthcheck or {}).get("Test") or []
    return bool(test) and test != ["NONE"]


def _entrypoint(argv: tuple[str, ...]) -> tuple[str, ...] | None:
    """docker's spelling: nothing means the image's, one empty word means none."""
    return None if not argv else () if argv == ("",) else argv


def _attached(body: CreateBody) -> Iterator[str]:
    for name, attached in (
        ("stdin", body.attach_stdin), ("stdout", body.attach_stdout), ("stderr", body.attach_stderr),
    ):  # fmt: skip
        if attached:
            yield name


def _network(mode: str) -> str:
    if mode in _OWN_NETWORK:
        return "default"
    if mode == "none":
        return mode
    if mode == "host":
        raise Unsupported(
            "the network mode \"host\" is not supported: a machine can't have the host's network",
            hint="publish ports with -p",
        )
    if mode.startswith("container:"):
        raise Unsupported(f'the network mode "{mode}" is not supported: each machine has a network card of its own')
    raise NotFound(f"network {mode} not found", hint='there are the networks "bridge" and "none"')


def _positive(noun: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise InvalidInput(f"the {noun} is {value}: it can't be negative")
    return value or 0


def _cpus(host: HostConfig) -> float:
    if host.nano_cpus:
        return _positive("number of CPUs", host.nano_cpus) / _NANO
    if host.cpu_count:
        return float(_positive("number of CPUs", host.cpu_count))
    # docker's -1 is a quota without a limit
    if host.cpu_quota and host.cpu_quota > 0:
        return host.cpu_quota / (host.cpu_period or _PERIOD)
    return 0


def _restart(policy: RestartPolicy) -> Policy:
    try:
        name = RestartName(policy.name or "no")
    except ValueError as error:
        raise InvalidInput(
            f'invalid restart policy "{policy.name}"', hint=", ".join(each.value for each in RestartName)
        ) from error
    maximum = policy.maximum_retry_count or 0
    if maximum and name is not RestartName.ON_FAILURE:
        raise InvalidInput(f'maximum retry count cannot be used with the restart policy "{name.value}"')
    if maximum < 0:
        raise InvalidInput(f"the maximum retry count is {maximum}: it can't be negative")
    return Policy(name, maximum)


def _refuse(host: HostConfig) -> None:
    """Raises Unsupported for what a container would be wrong without."""
    refused = (
        (host.devices, "--device", "a machine has no access to the host's devices"),
        (host.device_requests, "--gpus", "a machine has no access to the host's devices"),
        (host.links, "--link", "containers can't be linked"),
        (host.volumes_from, "--volumes-from", "name the volumes with -v"),
        (_foreign(host.pid_mode), f"--pid {host.pid_mode}", "a machine has processes of its own"),
        (_foreign(host.ipc_mode), f"--ipc {host.ipc_mode}", "a machine has a kernel of its own"),
        (host.volume_driver not in {None, "", "local"}, f"--volume-driver {host.volume_driver}", "there is only local"),
    )
    for asked, option, reason in refused:
        if asked:
            raise Unsupported(f"{option} is not supported: {reason}")


def _foreign(mode: str | None) -> bool:
    return mode == "host" or (mode or "").startswith("container:")
