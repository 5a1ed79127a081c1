"""The wiring: settings, driver, engine, server. The only place that names a concrete driver."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ireko.api.server import ApiServer
from ireko.drivers.base import Driver
from ireko.engine.engine import Engine
from ireko.engine.make import RecipeBook
from ireko.errors import Conflict, InvalidInput, IrekoError
from ireko.store.paths import Paths

_log = logging.getLogger("ireko")
ROOT_TAKEN = 75
"""The exit code of a daemon that finds another one on its root: who started it connects to that one."""


def serve(*, root: Path, hosts: Sequence[str], ready_fd: int | None = None, driver: str = "qemu") -> int:
    """Run the daemon until it is told to stop (SIGTERM, SIGINT, POST /ireko/stop); the exit code.

    `hosts` are addresses as docker's -H writes them. When it serves, the line "ready" is written to `ready_fd`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells of every program that runs in a guest
    os.umask(0o077)
    try:
        return asyncio.run(_serve(root, hosts, ready_fd, driver))
    except Conflict as error:
        _log.info("%s", error)
        return ROOT_TAKEN
    except IrekoError as error:
        _log.error("%s%s", error, f" ({error.hint})" if error.hint else "")
        return 1


async def _serve(root: Path, hosts: Sequence[str], ready_fd: int | None, driver: str) -> int:
    hypervisor, recipes = make_driver(driver, root)
    engine = await Engine.open(root=root, driver=hypervisor, recipes=recipes)
    try:
        stop = asyncio.Event()
        async with ApiServer(engine, hosts=hosts, on_stop=stop.set):
            _on_signals(stop)
            # What is alive now stays alive: collections need not look at it again, so they stay short.
            gc.collect()
            gc.freeze()
            _log.info("serving on %s", ", ".join(hosts))
            _tell_ready(ready_fd)
            await stop.wait()
    finally:
        await engine.close()
    return 0


def make_driver(name: str, root: Path) -> tuple[Driver, RecipeBook]:
    """A hypervisor by name, and the recipes whose images it can run. Raises InvalidInput."""
    if name == "qemu":
        from ireko.drivers.qemu import QemuDriver
        from ireko.recipes import Book

        return QemuDriver(state_dir=Paths(root, "qcow2").state), Book()
    if name == "fake":
        from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost

        return FakeDriver(FakeHost()), FakeBook()
    raise InvalidInput(f'there is no driver "{name}"', hint="known: qemu, fake")


def _tell_ready(descriptor: int | None) -> None:
    if descriptor is not None:
        with contextlib.suppress(OSError), os.fdopen(descriptor, "w") as pipe:
            pipe.write("ready\n")


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: its loop knows no signal handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
