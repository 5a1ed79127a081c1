"""Machines that run: started, watched to their end, found again, started anew by their restart policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from ireko.drivers.base import Ended, Machine, MachineState, Trouble
from ireko.engine import lookup, machines, mounts, traces
from ireko.engine.context import Context, now, to_its_end
from ireko.engine.logs import ContainerLog
from ireko.errors import Conflict, IrekoError, NotModified, TimedOut
from ireko.model.container import Container, MountKind, RestartName, Status
from ireko.model.names import short

_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")
CUT_OFF = 137  # docker's exit code for what was killed
_NOT_STARTED = 128  # and for what could not be started
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 60.0  # seconds before a restart: doubled each time
_STEADY = 10.0  # seconds after which a run counts as a good one
_LAST_WRITES = 20.0  # seconds for a guest to write out what it holds before its power is cut
_CUT_GRACE = 30.0


@dataclass(frozen=True)
class Waited:
    """How a container ended."""

    exit_code: int
    error: str = ""


@dataclass
class Run:
    """One machine that runs. `done` is set once its end is recorded."""

    machine: Machine
    stop_watching: tuple[Callable[[], None], ...]
    done: asyncio.Event
    restart_wanted: bool = True
    removal_wanted: bool = True
    """Whether a container that goes when it ends goes with this run's end."""


class Runs:
    """Every machine that runs, by container id."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runs: dict[str, Run] = {}
        self._logs: dict[str, ContainerLog] = {}
        self._waiters: dict[tuple[str, str], list[asyncio.Future[Waited]]] = {}
        self._delays: dict[str, float] = {}
        self._starters: dict[str, list[asyncio.Future[Machine]]] = {}
        self.remove_ended: Callable[[Container], None] = lambda container: None

    def log(self, container: Container) -> ContainerLog:
        """The container's output."""
        log = self._logs.get(container.id)
        if log is None:
            directory = self._context.paths.container(container.id)
            log = self._logs[container.id] = ContainerLog(directory, container.spec.log)
            log.catch_up()
        return log

    def machine(self, container: Container) -> Machine:
        """The machine. Raises Conflict when none runs."""
        run = self._runs.get(container.id)
        if run is None:
            raise Conflict(f"Container {short(container.id)} is not running", hint=f"ireko start {container.name}")
        return run.machine

    def running(self, container_id: str) -> Machine | None:
        """The machine, if one runs."""
        run = self._runs.get(container_id)
        return run.machine if run else None

    async def machine_once_started(self, container: Container) -> Machine:
        """The machine, now or after the next start. Raises Conflict when the container goes away instead."""
        if machine := self.running(container.id):
            return machine
        future: asyncio.Future[Machine] = asyncio.get_running_loop().create_future()
        self._starters.setdefault(container.id, []).append(future)
        try:
            return await future
        finally:
            _take_out(self._starters, container.id, future)

    async def start(self, container: Container, *, restarts: int = 0) -> None:
        """Start the machine and record it. The caller holds the container's lock.

        Raises NotModified when it runs; whatever the driver or the checks raise, and then the container stands as before
        with the error noted.
        """
        if container.id in self._runs:
            raise NotModified(f"Container {short(container.id)} is running already")
        context = self._context
        self.log(container)
        # Held until it is recorded who has the volumes: of two who start at once the second one is told.
        async with mounts.held(context, mounts.volumes(container)):
            try:
                image = lookup.image_of(context.database, container)
                spec = await to_its_end(asyncio.to_thread(machines.prepare, context, container, image))
                mounts.check_free(context, container)
                machine = await context.driver.start(spec)
            except (IrekoError, OSError) as error:
                context.note(container.id, error=str(error), exit_code=_NOT_STARTED, restarts=restarts)
                raise
            try:
                container = context.update(container.id, **_started(machine), restarts=restarts)
            except BaseException:
                await machine.power_off()
                await machine.close()
                raise
            self.watch(container, machine)
        context.announce(container, "start")

    async def adopt(self, container: Container) -> None:
        """Get hold of the machine of a container that has one, or record its end. The caller holds the container's lock.

        Raises Unavailable, TimedOut when the machine does not answer; then the container stands as before.
        """
        context = self._context
        directory = context.paths.container(container.id)
        machine = await context.driver.find(directory)
        if machine is None:
            if container.status.has_machine:
                ended = await context.driver.last_end(directory)
                await self.record_end(container, ended, moment=traces.last_sign(directory))
            return
        status = Status.RUNNING
        with contextlib.suppress(IrekoError):  # it ends this moment, and will be seen to
            status = Status.PAUSED if await machine.state() is MachineState.PAUSED else Status.RUNNING
        if not container.status.has_machine:  # the start was cut off before it was recorded
            context.note(container.id, **_started(machine, traces.start(directory)))
        if context.database.containers[container.id].status is not status:
            context.note(container.id, status=status)
        self.watch(context.database.containers[container.id], machine)

    def watch(self, container: Container, machine: Machine) -> None:
        """Look after a machine that runs, until its end."""
        log = self.log(container)
        run = Run(
            machine,
            (
                machine.watch_outputs(log.catch_up),
                machine.watch_trouble(lambda trouble: self._met(container.id, trouble)),
            ),
            asyncio.Event(),
        )
        self._runs[container.id] = run
        log.catch_up()
        for future in self._starters.pop(container.id, []):
            if not future.done():
                future.set_result(machine)
        self._context.tasks.start(self._see_to_end(container.id, run), name=f"machine of {container.name}")

    async def wait_for(self, container: Container, condition: str) -> Waited:
        """docker's wait; it is registered before this first awaits."""
        if condition == "not-running" and container.id not in self._runs and container.status is not Status.RESTARTING:
            return Waited(container.exit_code, container.error)
        future: asyncio.Future[Waited] = asyncio.get_running_loop().create_future()
        key = container.id, "removed" if condition == "removed" else "ended"
        self._waiters.setdefault(key, []).append(future)
        try:
            return await future
        finally:
            _take_out(self._waiters, key, future)

    def begin_end(self, container: Container, *, again: bool = False) -> Run | None:
        """Its user wants the container to end (and to start `again`): the run, None when it only waits for a restart.

        Raises NotModified when it does not run.
        """
        run = self._runs.get(container.id)
        self._delays.pop(container.id, None)
        if run is None and container.status is not Status.RESTARTING:
            raise NotModified(f"Container {container.name} is not running")
        if run is None:
            self._context.note(container.id, status=Status.EXITED, manually_stopped=True)
            self._resolve(container.id, "ended", Waited(container.exit_code, container.error))
            return None
        self._context.note(container.id, manually_stopped=True)
        run.restart_wanted, run.removal_wanted = False, not again
        return run

    async def end(self, container: Container, run: Run, *, timeout: float, signal: int | None) -> None:  # noqa: ASYNC109
        """Ask the guest to end, cut the power after `timeout` seconds (below 0: never), and see the end recorded."""
        with contextlib.suppress(IrekoError):  # it ends this moment
            if await run.machine.state() is MachineState.PAUSED:
                await run.machine.resume()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout if timeout >= 0 else None):
                await self._ask(run, signal)
                await run.done.wait()
                return
        await self._cut(container, run, keep=True)

    async def cut(self, container: Container, *, keep: bool = False) -> None:
        """Cut the power, if there is any, and see the end recorded; `keep`: what it wrote is wanted. Raises TimedOut."""
        if run := self._runs.get(container.id):
            await self._cut(container, run, keep=keep)

    async def _cut(self, container: Container, run: Run, *, keep: bool) -> None:
        run.restart_wanted = False
        await _hold_still(container, run.machine, keep=keep)
        await run.machine.power_off()
        try:
            async with asyncio.timeout(_CUT_GRACE):
                await run.done.wait()
        except TimeoutError as error:
            raise TimedOut(f'the machine of "{container.name}" could not be ended', hint="ireko doctor") from error

    def forgo_restart(self, container_id: str) -> None:
        """Whatever its policy says, this run is its last for now."""
        if run := self._runs.get(container_id):
            run.restart_wanted = False

    def gone(self, container: Container) -> None:
        """The container was removed: let everyone who waits go."""
        self._resolve(container.id, "ended", Waited(container.exit_code, container.error))
        self._resolve(container.id, "removed", Waited(container.exit_code, container.error))
        self._delays.pop(container.id, None)
        for future in self._starters.pop(container.id, []):
            if not future.done():
                future.set_exception(Conflict(f'Container "{container.name}" was removed'))
        if log := self._logs.pop(container.id, None):
            log.close()

    async def record_end(
        self,
        container: Container,
        ended: Ended,
        *,
        restart_wanted: bool = True,
        removal_wanted: bool = True,
        moment: datetime | None = None,
    ) -> None:
        """Write down how a run ended, tell who waits, and do what the policy says. `moment`: when, if not right now."""
        exit_code = _exit_code(container, ended)
        container = self._context.note(
            container.id, status=Status.EXITED, exit_code=exit_code, error=ended.reason, finished=moment or now()
        )
        self.log(container).end_run()
        self._context.announce(container, "die", exitCode=str(exit_code))
        again = restart_wanted and _wants_restart(container)
        if again:
            container = self._context.note(container.id, status=Status.RESTARTING)
            self._context.tasks.start(
                self._restart(container.id, self._delay(container)), name=f"restart of {container.name}"
            )
        self._resolve(container.id, "ended", Waited(exit_code, ended.reason))
        if not again and removal_wanted and container.spec.auto_remove:
            self.remove_ended(container)

    def restart_all(self, containers: list[Container]) -> None:
        """Start these one after the other, in the background, unless somebody does something else with them before."""
        for container in containers:
            self._context.note(container.id, status=Status.RESTARTING)

        async def restart() -> None:
            for container in containers:
                await self._restart(container.id, 0)

        self._context.tasks.start(restart(), name="restarts")

    async def close(self) -> None:
        """Let go of every machine; they go on running."""
        for run in self._runs.values():
            for stop in run.stop_watching:
                stop()
            await run.machine.close()
        self._runs.clear()

    async def _ask(self, run: Run, signal: int | None) -> None:
        if signal is None:
            await run.machine.request_power_off()
            return
        with contextlib.suppress(IrekoError):
            await run.machine.guest.signal(signal)

    async def _see_to_end(self, container_id: str, run: Run) -> None:
        ended = await run.machine.ended()
        for stop in run.stop_watching:
            stop()
        await run.machine.close()
        del self._runs[container_id]
        try:
            container = self._context.database.containers.get(container_id)
            if container is None:  # recreated: another one has its place
                self._resolve(container_id, "ended", Waited(CUT_OFF, ended.reason))
            else:
                await self.record_end(
                    container, ended, restart_wanted=run.restart_wanted, removal_wanted=run.removal_wanted
                )
        finally:
            run.done.set()

    def _delay(self, container: Container) -> float:
        """Seconds before a restart: twice as many each time, until a run lasts."""
        delay = self._delays.get(container.id, _FIRST_DELAY)
        assert container.finished is not None
        if container.started and (container.finished - container.started).total_seconds() > _STEADY:
            delay = _FIRST_DELAY
        self._delays[container.id] = min(delay * 2, _LONGEST_DELAY)
        return delay

    async def _restart(self, container_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        async with self._context.locks(container_id):
            present = self._context.database.containers.get(container_id)
            if present is None or present.status is not Status.RESTARTING:
                return
            try:
                await self.start(present, restarts=present.restarts + 1)
            except (IrekoError, OSError) as error:
                _log.warning('"%s" could not be started again: %s', present.name, error)
                failed = self._context.note(present.id, status=Status.EXITED)
                self._resolve(failed.id, "ended", Waited(failed.exit_code, failed.error))

    def _met(self, container_id: str, trouble: Trouble) -> None:
        container = self._context.note(
            container_id, error=trouble.message, **({"status": Status.PAUSED} if trouble.paused else {})
        )
        self._context.announce(container, "pause" if trouble.paused else "trouble", reason=trouble.message)

    def _resolve(self, container_id: str, kind: str, waited: Waited) -> None:
        for future in self._waiters.pop((container_id, kind), []):
            if not future.done():
                future.set_result(waited)


def _started(machine: Machine, moment: datetime | None = None) -> dict[str, Any]:
    """What the record of a container says once its machine runs."""
    return {
        "status": Status.RUNNING,
        "started": moment or now(),
        "finished": None,
        "exit_code": 0,
        "error": "",
        "manually_stopped": False,
        "published": machine.ports,
    }


def _take_out(waiting: dict[_Key, list[asyncio.Future[_Answer]]], key: _Key, future: asyncio.Future[_Answer]) -> None:
    """Who waited waits no more."""
    futures = waiting.get(key, [])
    if future in futures:
        futures.remove(future)
    if not futures:
        waiting.pop(key, None)


async def _hold_still(container: Container, machine: Machine, *, keep: bool) -> None:
    """Leave what outlives the machine as after an unmount, where the guest can be reached."""
    written = [m.target for m in container.spec.mounts if m.kind is MountKind.VOLUME and not m.read_only]
    if keep:
        written.append("/")
    with contextlib.suppress(IrekoError, TimeoutError):
        async with asyncio.timeout(_LAST_WRITES):
            if written and await machine.state() is MachineState.RUNNING:
                await machine.guest.freeze(written)


def _exit_code(container: Container, ended: Ended) -> int:
    if ended.exit_code is not None:
        return ended.exit_code
    return 0 if ended.clean and container.system else CUT_OFF


def _wants_restart(container: Container) -> bool:
    policy = container.spec.restart
    match policy.name:
        case RestartName.ALWAYS | RestartName.UNLESS_STOPPED:
            return not container.manually_stopped
        case RestartName.ON_FAILURE:
            return container.exit_code != 0 and (not policy.maximum or container.restarts < policy.maximum)
        case RestartName.NO:
            return False
