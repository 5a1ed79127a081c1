"""What a machine has used, from the host's and the guest's counters."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ireko.drivers.qemu import command

_INTERFACE = re.compile(r"^\s*(?P<name>[^:\s]+):\s*(?P<received>\d+)(?:\s+\d+){7}\s+(?P<sent>\d+)", re.MULTILINE)
_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE)
_PROCESSES = re.compile(r"^processes (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class ProcessUsage:
    """Processor time in nanoseconds, resident memory in bytes."""

    processor: int
    memory: int


@dataclass(frozen=True)
class GuestUsage:
    """The guest's own counters: bytes of memory in use and of its network interfaces, and how many processes it has."""

    memory: int = 0
    received: int = 0
    sent: int = 0
    processes: int = 0


def of_process(pid: int) -> ProcessUsage:
    """From `/proc/PID/stat` (proc(5)). Raises FileNotFoundError or ProcessLookupError when it has ended."""
    # the second field is the program's name in parentheses, and may hold anything
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ProcessUsage(
        processor=ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK"),
        memory=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


def of_disks(answer: list[dict[str, object]]) -> tuple[int, int]:
    """Bytes read and written by all disks, from what `query-blockstats` answers; a firmware's flash memory is none."""
    disks = (disk for disk in answer if command.device("") in str(disk.get("qdev", "")))
    stats = [cast("dict[str, int]", disk["stats"]) for disk in disks]
    return sum(s["rd_bytes"] for s in stats), sum(s["wr_bytes"] for s in stats)


def of_guest(counters: str) -> GuestUsage:
    """From what `ireko.guest.scripts.COUNTERS` prints."""
    found = [match for match in _INTERFACE.finditer(counters) if match["name"] != "lo"]
    processes = _PROCESSES.search(counters)
    kilobytes = {name: int(value) for name, value in _MEMORY.findall(counters)}
    return GuestUsage(
        memory=(kilobytes.get("MemTotal", 0) - kilobytes.get("MemAvailable", 0)) * 1024,
        received=sum(int(match["received"]) for match in found),
        sent=sum(int(match["sent"]) for match in found),
        processes=int(processes[1]) if processes else 0,
    )
