"""After a start of the daemon: make what is written down and what is there agree again.

The hypervisor is the truth about machines, the database about intent, so:

* a machine that runs is looked after again, whatever its record says (a start that was cut off has thereby happened);
* a container whose record says that it runs, but that has no machine, has ended: its end is recorded, and its policy obeyed;
* operations in progress are finished or undone; removals are finished;
* folders that no record knows are leftovers of something that was never acknowledged, and are deleted.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from ireko.engine import commit, creation, halfmade, layers, removal
from ireko.engine.commit import Committer
from ireko.engine.containers import RESTART, Containers
from ireko.engine.context import Context
from ireko.engine.guestfiles import MAINTENANCE
from ireko.engine.removal import Remover
from ireko.engine.runs import Runs
from ireko.engine.upkeep import exchange, leftovers
from ireko.errors import IrekoError, NotFound
from ireko.model.container import Container, RestartName, Status
from ireko.store.database import Operation

_log = logging.getLogger(__name__)


async def reconcile(context: Context, runs: Runs, containers: Containers, remover: Remover) -> None:
    """Done once, before the first request is served. What goes wrong with one container is noted with it."""
    silent = await _end_passing_machines(context)
    operations = list(context.database.operations.values())
    for operation in operations:
        if operation.kind == removal.KIND:
            if await _end_machine(context, context.paths.container(operation.container)):
                await remover.finish(operation)
        elif operation.kind == halfmade.KIND:
            await halfmade.undo(context, operation)
        elif operation.kind == exchange.KIND:
            exchange.settle(context, operation)
    committer = Committer(context, runs)
    for container in list(context.database.containers.values()):
        await _settle(context, runs, container)
        if not committer.unsettled(container.id):
            _mend(context, container)
    await _settle_commits(context, committer, operations)
    await _restart(context, runs, [each for each in operations if each.kind == RESTART])
    await layers.collect(context)
    _sweep(context, silent)
    await _remove_ended(context, containers)


async def _settle(context: Context, runs: Runs, container: Container) -> None:
    try:
        await runs.adopt(container)
    except (IrekoError, OSError) as error:  # it stands as it did: who asks for it tries again
        _log.exception("the machine of container %s can't be told of", container.name)
        context.note(container.id, error=str(error))


def _mend(context: Context, container: Container) -> None:
    if container.started is None:
        try:
            creation.mend(context, container)
        except (IrekoError, OSError) as error:
            _log.exception("container %s can't be mended", container.name)
            context.note(container.id, error=str(error))


async def _settle_commits(context: Context, committer: Committer, operations: list[Operation]) -> None:
    for operation in operations:
        try:
            if operation.kind == commit.KIND:
                await committer.settle(operation)
        except (IrekoError, OSError) as error:  # tried again before the next change
            _log.exception("a commit of container %s can't be settled", operation.container)
            if operation.container in context.database.containers:
                context.note(operation.container, error=str(error))


async def _restart(context: Context, runs: Runs, cut_off: list[Operation]) -> None:
    """Start what starts with the daemon, and what was being restarted when the last one went."""
    containers = context.database.containers
    asked = {each.container for each in cut_off if each.container in containers}
    for container_id in asked:
        await runs.cut(containers[container_id])
    found = [each for each in containers.values() if each.id in asked or _starts_with_the_daemon(each)]
    if found:
        runs.restart_all(sorted(found, key=lambda each: each.created))
    if cut_off:
        with context.database.change() as change:
            for operation in cut_off:
                change.delete_operation(operation.id)


def _starts_with_the_daemon(container: Container) -> bool:
    """docker's rule for a daemon that comes up: `always` even after a manual stop, `unless-stopped` as it says.

    What waited for its restart, or was to run after it was recreated, is started in any case.
    """
    if container.status is Status.RESTARTING:
        return True
    if container.status is not Status.EXITED:
        return False
    name = container.spec.restart.name
    return name is RestartName.ALWAYS or (name is RestartName.UNLESS_STOPPED and not container.manually_stopped)


async def _remove_ended(context: Context, containers: Containers) -> None:
    """Those that go when they end, and whose end nobody saw."""
    for container in list(context.database.containers.values()):
        if container.status is Status.EXITED and container.spec.auto_remove:
            with contextlib.suppress(NotFound):  # its end was recorded a moment ago, and it went
                await containers.remove(container.id, volumes=True)


async def _end_passing_machines(context: Context) -> set[Path]:
    """Machines that were started only to look at files, those of containers without a record, and everything half-made.

    The folders of machines that could not be ended are left, and told.
    """
    known = _kept(context, "containers", context.database.containers)
    places = _folders(context.paths.containers)
    folders = [folder / MAINTENANCE for folder in (*places, *_folders(context.paths.tmp))]
    passing = (*folders, *(folder for folder in places if folder.name not in known))
    silent = {folder for folder in passing if folder.is_dir() and not await _end_machine(context, folder)}
    for folder in places:
        if folder / MAINTENANCE not in silent:
            context.files.remove_tree(folder / MAINTENANCE)
    for entry in context.paths.tmp.iterdir():
        if not entry.is_dir():
            context.files.remove(entry)
        elif entry / MAINTENANCE not in silent:
            context.files.remove_tree(entry)
    return silent


async def _end_machine(context: Context, folder: Path) -> bool:
    """Whether no machine runs in a folder any more. One that does not answer is no reason to serve nobody."""
    try:
        if (machine := await context.driver.find(folder)) is not None:
            await machine.power_off()
            await machine.close()
    except (IrekoError, OSError):
        _log.exception("the machine of %s can't be ended", folder)
        return False
    return True


def _sweep(context: Context, silent: AbstractSet[Path]) -> None:
    """Delete the folders that no record knows, but those of machines that are `silent`."""
    database, paths = context.database, context.paths
    for folder, known in (
        (paths.containers, _kept(context, "containers", database.containers)),
        (paths.layers, _kept(context, "layers", database.layers)),
        (paths.volumes, _kept(context, "volumes", database.volumes)),
    ):
        _delete(context, [entry for entry in _folders(folder) if entry.name not in known and entry not in silent])
    _delete(context, layers.unused_boots(context))


def _kept(context: Context, table: str, known: Iterable[str]) -> set[str]:
    """What has a record, one that can't be read too, or is mentioned in one."""
    return {*known, *context.database.broken_keys(table), *leftovers.mentioned(context)}


def _delete(context: Context, leftovers: list[Path]) -> None:
    for folder in leftovers:
        _log.info("deleting the leftover %s", folder)
        context.files.remove_tree(folder)


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]
