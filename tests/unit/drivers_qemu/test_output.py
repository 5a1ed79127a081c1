"""Files that grow are told of, whoever has stopped listening in between."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from ireko.drivers.qemu.output import OutputWatcher


async def grown(watcher: OutputWatcher, path: Path) -> None:
    """Write to a file, and be told."""
    told = asyncio.Event()
    stop = watcher.watch([path], told.set)
    with path.open("ab") as file:
        file.write(b"more")
    async with asyncio.timeout(30):
        await told.wait()
    stop()


async def test_a_file_that_is_watched_anew_at_once(tmp_path: Path) -> None:
    watcher = OutputWatcher()
    path = tmp_path / "stdout.log"
    path.touch()
    for _ in range(20):
        await grown(watcher, path)
    await watcher.close()


async def test_one_who_stops_takes_nothing_from_another(tmp_path: Path) -> None:
    watcher = OutputWatcher()
    path = tmp_path / "stdout.log"
    path.touch()
    stop = watcher.watch([path], lambda: None)
    stop_other = watcher.watch([path], lambda: None)
    stop()
    stop()
    await grown(watcher, path)
    stop_other()
    await watcher.close()


async def test_a_file_that_was_removed_and_made_again(tmp_path: Path) -> None:
    watcher = OutputWatcher()
    path = tmp_path / "stdout.log"
    for _ in range(3):
        path.touch()
        await grown(watcher, path)
        path.unlink()
    await watcher.close()
