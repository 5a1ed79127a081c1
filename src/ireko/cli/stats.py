"""`stats`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import click

from ireko.cli import complete, terminal
from ireko.cli.group import verb
from ireko.cli.render import Fields, Format, Item, short_id
from ireko.cli.session import Session, pass_session
from ireko.cli.units import binary_size, human_size
from ireko.errors import IrekoError

_TABLE = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_AT_ONCE = 32
_CLEAR = "\033[H\033[J"


@verb("stats", example="ireko stats --no-stream")
@click.option("-a", "--all", "stopped", is_flag=True, help="Show stopped containers too.")
@click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
@click.option("--no-stream", is_flag=True, help="Show one reading and end.")
@click.option("--no-trunc", "full", is_flag=True, help="Shorten nothing.")
@click.argument("containers", nargs=-1, shell_complete=complete.containers, metavar="[CONTAINER...]")
@pass_session
def stats(
    session: Session, *, stopped: bool, written: str, no_stream: bool, full: bool, containers: tuple[str, ...]
) -> None:
    """Show what containers use, as it changes."""
    refs = list(containers) or [str(item["Id"]) for item in session.client.containers.all(stopped=stopped)]
    listing, fields = Format(written, default=_TABLE), _fields(full=full)
    if no_stream:
        listing.write(session.out, fields, _first(session, refs))
        return
    for readings in _rounds(session, refs):
        if terminal.is_terminal(session.out):
            session.out.write(_CLEAR)
        listing.write(session.out, fields, readings)
        session.out.flush()


def _first(session: Session, refs: list[str]) -> list[Item]:
    """One reading of each, taken at once because each takes a second."""
    containers = session.client.containers

    def read(ref: str) -> Item:
        return {"container": ref, **next(iter(containers.stats(ref, stream=False)), {})}

    if len(refs) < 2:
        return [read(ref) for ref in refs]

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(read, refs))


def _rounds(session: Session, refs: list[str]) -> Iterator[list[Item]]:
    """All readings, whenever the first container has a new one; ends when the last container is gone."""
    arrived: SimpleQueue[tuple[str, Item | None]] = SimpleQueue()
    for ref in refs:
        threading.Thread(target=_follow, args=(session, ref, arrived), daemon=True).start()
    latest: dict[str, Item] = {ref: {"container": ref} for ref in refs}
    while latest:
        ref, reading = arrived.get()
        if reading is None:
            latest.pop(ref)
            continue
        latest[ref] = {"container": ref, **reading}
        if ref == next(iter(latest)):
            yield list(latest.values())


def _follow(session: Session, ref: str, arrived: SimpleQueue[tuple[str, Item | None]]) -> None:
    try:
        for reading in session.client.containers.stats(ref, stream=True):
            arrived.put((ref, reading))
    except IrekoError:
        pass  # it is gone: its row goes
    finally:
        arrived.put((ref, None))


def _fields(*, full: bool) -> Fields:
    return {
        "Container": ("CONTAINER", lambda item: item["container"]),
        "Name": ("NAME", lambda item: item.get("name", "").removeprefix("/") or "--"),
        "ID": ("CONTAINER ID", lambda item: short_id(item.get("id") or item["container"], full=full)),
        "CPUPerc": ("CPU %", lambda item: _percent(_cpu(item)) if item.get("cpu_stats") else "--"),
        "MemUsage": ("MEM USAGE / LIMIT", _memory),
        "MemPerc": ("MEM %", _memory_percent),
        "NetIO": ("NET I/O", lambda item: _pair(*_network(item)) if item.get("cpu_stats") else "--"),
        "BlockIO": ("BLOCK I/O", lambda item: _pair(*_blocks(item)) if item.get("cpu_stats") else "--"),
        "PIDs": ("PIDS", lambda item: str((item.get("pids_stats") or {}).get("current", 0))),
    }


def _cpu(item: Item) -> float:
    """Percent of one processor between the two readings that one answer holds."""
    now, before = item["cpu_stats"], item.get("precpu_stats") or {}
    used = now["cpu_usage"]["total_usage"] - (before.get("cpu_usage") or {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    return float(used / passed * (now.get("online_cpus") or 1) * 100) if used > 0 and passed > 0 else 0.0


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _memory_used(memory: dict[str, Any]) -> int:
    """Without the cache that could be given back."""
    usage = int(memory.get("usage", 0))
    cache = (memory.get("stats") or {}).get("inactive_file", 0)
    return usage - cache if cache < usage else usage


def _memory(item: Item) -> str:
    memory = item.get("memory_stats")
    return (
        "-- / --" if memory is None else f"{binary_size(_memory_used(memory))} / {binary_size(memory.get('limit', 0))}"
    )


def _memory_percent(item: Item) -> str:
    memory = item.get("memory_stats")
    if memory is None:
        return "--"
    limit = memory.get("limit", 0)
    return _percent(_memory_used(memory) / limit * 100 if limit else 0.0)


def _network(item: Item) -> tuple[int, int]:
    cards = (item.get("networks") or {}).values()
    return sum(card["rx_bytes"] for card in cards), sum(card["tx_bytes"] for card in cards)


def _blocks(item: Item) -> tuple[int, int]:
    entries: Iterable[Item] = (item.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    sums = {"r": 0, "w": 0}
    for entry in entries:
        letter = entry["op"][:1].lower()
        if letter in sums:
            sums[letter] += entry["value"]
    return sums["r"], sums["w"]


def _pair(first: int, second: int) -> str:
    return f"{human_size(first, digits=3)} / {human_size(second, digits=3)}"
