"""What a container uses, in the shape that `docker stats` computes with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from ireko.api.encode.times import NEVER, rfc3339
from ireko.drivers.base import Usage
from ireko.model.container import Container


@dataclass(frozen=True)
class Reading:
    """What was used by a moment. `clock` is a monotonic time in nanoseconds."""

    usage: Usage
    moment: datetime
    clock: int


def stats(container: Container, now: Reading, before: Reading | None) -> dict[str, Any]:
    """One document of `GET /containers/{ref}/stats`; clients take the processor's load from the two readings in it."""
    usage, processors = now.usage, ceil(container.cpus)
    return {
        "name": f"/{container.name}",
        "id": container.id,
        "read": rfc3339(now.moment),
        "preread": rfc3339(before.moment) if before else NEVER,
        "pids_stats": {"current": usage.processes},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _processor(now, processors),
        "precpu_stats": _processor(before, processors) if before else _NO_PROCESSOR,
        "memory_stats": {"usage": usage.memory, "limit": usage.memory_limit, "stats": {}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 254, "minor": 0, "op": "read", "value": usage.disk_read},
                {"major": 254, "minor": 0, "op": "write", "value": usage.disk_written},
            ]
        },
        "networks": {"eth0": _card(usage)},
    }


def _processor(reading: Reading, processors: int) -> dict[str, Any]:
    # "system" is what all of the machine's processors could have done by then.
    used = reading.usage.processor
    return {
        "cpu_usage": {"total_usage": used, "usage_in_kernelmode": 0, "usage_in_usermode": used},
        "system_cpu_usage": reading.clock * processors,
        "online_cpus": processors,
        "throttling_data": _NO_THROTTLING,
    }


_NO_THROTTLING = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
_NO_PROCESSOR = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": _NO_THROTTLING,
}


def _card(usage: Usage) -> dict[str, int]:
    return {
        "rx_bytes": usage.network_received,
        "rx_packets": 0,
        "rx_errors": 0,
        "rx_dropped": 0,
        "tx_bytes": usage.network_sent,
        "tx_packets": 0,
        "tx_errors": 0,
        "tx_dropped": 0,
    }
