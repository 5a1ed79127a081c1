"""After a start of the daemon: make what is written down and what is there agree again.

The hypervisor is the truth about machines, the database about intent, so:

* a machine that runs is looked after again, whatever its record says (a start that was cut off has thereby happened);
* a container whose record says that it runs, but that has no machine, has ended: its end is recorded, and its policy obeyed;
* operations in progress are finished or undone; removals are finished;
* folders that no record knows are leftovers of something that was never acknowledged, and are deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Container as ContainerOf
from pathlib import Path

from ireko.drivers.base import MachineState
from ireko.engine.commit import Committer
from ireko.engine.containers import Containers
from ireko.engine.context import Context
from ireko.engine.guestfiles import MAINTENANCE
from ireko.engine.runs import Runs
from ireko.errors import IrekoError
from ireko.host import files
from ireko.model.container import Container, RestartName, Status

_log = logging.getLogger(__name__)


async def reconcile(context: Context, runs: Runs, containers: Containers) -> None:
    """Done once, before the first request is served."""
    await _end_passing_machines(context)
    for container in list(context.database.containers.values()):
        await _find_machine(context, runs, container)
    committer = Committer(context, runs)
    for operation in list(context.database.operations.values()):
        await committer.settle(operation)
    for container in list(context.database.containers.values()):
        try:
            await _settle(context, runs, containers, container)
        except (IrekoError, OSError) as error:
            _log.exception("container %s could not be settled", container.name)
            context.update(container.id, status=Status.DEAD, error=str(error))
    _sweep(context.paths.containers, context.database.containers)
    _sweep(context.paths.layers, context.database.layers)
    _sweep(context.paths.volumes, context.database.volumes)
    _sweep(
        context.paths.boot, {image.config.boot.id for image in context.database.images.values() if image.config.boot}
    )


async def _end_passing_machines(context: Context) -> None:
    """Machines that were started only to look at files, and everything half-made."""
    folders = [folder / MAINTENANCE for folder in _folders(context.paths.containers)]
    folders += [folder / MAINTENANCE for folder in _folders(context.paths.tmp)]
    folders += [
        folder for folder in _folders(context.paths.containers) if folder.name not in context.database.containers
    ]
    for folder in folders:
        if folder.is_dir() and (machine := await context.driver.find(folder)) is not None:
            await machine.power_off()
            await machine.close()
    for folder in _folders(context.paths.containers):
        files.remove_tree(folder / MAINTENANCE)
    for entry in context.paths.tmp.iterdir():
        if entry.is_dir():
            files.remove_tree(entry)
        else:
            entry.unlink()


async def _find_machine(context: Context, runs: Runs, container: Container) -> None:
    machine = await context.driver.find(context.paths.container(container.id))
    if machine is None:
        return
    if container.status is Status.REMOVING:
        await machine.power_off()
        await machine.close()
        return
    paused = await machine.state() is MachineState.PAUSED
    container = context.update(
        container.id,
        status=Status.PAUSED if paused else Status.RUNNING,
        started=container.started or container.created,
        finished=None,
        published=machine.ports,
    )
    runs.watch(container, machine)


async def _settle(context: Context, runs: Runs, containers: Containers, container: Container) -> None:
    container = context.database.containers[container.id]
    if container.status is Status.REMOVING:
        containers.finish_removal(container)
    elif container.status.has_machine and runs.running(container.id) is None:
        ended = await context.driver.last_end(context.paths.container(container.id))
        await runs.record_end(container, ended, restart_wanted=True)
    elif container.status is Status.RESTARTING or _starts_with_the_daemon(container):
        async with context.locks(container.id):
            await runs.start(container, restarts=container.restarts + 1)
    elif container.status is Status.EXITED and container.spec.auto_remove:
        await containers.remove(container.id, volumes=True)


def _starts_with_the_daemon(container: Container) -> bool:
    """docker's rule for a daemon that comes up: `always` even after a manual stop, `unless-stopped` as it says."""
    if container.status is not Status.EXITED:
        return False
    name = container.spec.restart.name
    return name is RestartName.ALWAYS or (name is RestartName.UNLESS_STOPPED and not container.manually_stopped)


def _sweep(folder: Path, known: ContainerOf[str]) -> None:
    for entry in _folders(folder):
        if entry.name not in known:
            _log.info("deleting the leftover %s", entry)
            files.remove_tree(entry)


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]
