"""The figures, in the order in which they are measured: first what needs no guest."""

from __future__ import annotations

from benchmarks.figure import Figure
from benchmarks.figures import (
    clients,
    commit_running,
    commit_stopped,
    container_size,
    create,
    disk_convert,
    disk_extents,
    disk_open,
    disk_reflink,
    exec_,
    ps_api,
    ps_process,
    run_cold,
)

FIGURES: tuple[Figure, ...] = (
    create.FIGURE,
    container_size.FIGURE,
    ps_api.FIGURE,
    ps_process.FIGURE,
    *disk_open.FIGURES,
    *disk_extents.FIGURES,
    disk_reflink.FIGURE,
    *disk_convert.FIGURES,
    run_cold.FIGURE,
    exec_.FIGURE,
    commit_stopped.FIGURE,
    commit_running.FIGURE,
    clients.FIGURE,
)
