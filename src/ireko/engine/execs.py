"""Further programs in a container that runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from ireko.drivers.base import Command, GuestProcess, MachineState, Stream
from ireko.engine import lookup, specs
from ireko.engine.attach import Attachment
from ireko.engine.context import Context
from ireko.engine.runs import Runs
from ireko.errors import Conflict, InvalidInput, NotFound
from ireko.model.container import Container, Status
from ireko.model.names import new_id, short

_KEPT = 500


@dataclass
class Exec:
    """One further program. `exit_code` None: it has not ended."""

    id: str
    container_id: str
    command: Command
    open_input: bool = False
    open_output: bool = True
    running: bool = False
    exit_code: int | None = None
    process: GuestProcess | None = field(default=None, repr=False)


class Execs:
    """The programs started apart from the main ones, the newest five hundred of them."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs
        self._execs: dict[str, Exec] = {}

    def create(self, ref: str, command: Command, *, open_input: bool = False, open_output: bool = True) -> Exec:
        """Note what to run. Raises NotFound, Conflict when the container does not run, InvalidInput."""
        container = lookup.container(self._context.database, ref)
        self._runs.machine(container)
        if container.status is Status.PAUSED:
            raise _paused(container)
        if not command.argv:
            raise InvalidInput("No exec command specified")
        if command.workdir and not command.workdir.startswith("/"):
            raise InvalidInput(f'the working directory "{command.workdir}" is invalid, it needs to be an absolute path')
        exec_ = Exec(new_id(), container.id, _inheriting(command, container), open_input, open_output)
        self._forget_old()
        self._execs[exec_.id] = exec_
        self._context.announce(container, f"exec_create: {' '.join(command.argv)}", execID=exec_.id)
        return exec_

    def get(self, exec_id: str) -> Exec:
        """Raises NotFound."""
        found = self._execs.get(exec_id)
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    def of(self, container_id: str) -> list[Exec]:
        """The ones of a container that run."""
        return [each for each in self._execs.values() if each.container_id == container_id and each.running]

    async def start(
        self, exec_id: str, *, detach: bool = False, tty: bool | None = None, size: tuple[int, int] | None = None
    ) -> Attachment | None:
        """Run it; the attachment is None when detached. Raises Conflict when it ran already or the container is paused."""
        exec_ = self.get(exec_id)
        container = lookup.container(self._context.database, exec_.container_id)
        if exec_.process is not None or exec_.running:
            raise Conflict(f"exec {short(exec_id)} has already run")
        command = replace(exec_.command, tty=exec_.command.tty if tty is None else tty, size=size or exec_.command.size)
        exec_.running = True  # before anything is awaited: of two who start it the second one is told
        try:
            exec_.process = await self._run(container, command)
        except BaseException:
            exec_.running = False
            raise
        self._context.announce(container, f"exec_start: {' '.join(command.argv)}", execID=exec_.id)
        attachment = ExecAttachment(self._context, exec_, exec_.process)
        if not exec_.open_input:
            await exec_.process.close_input()
        if detach:
            self._context.tasks.start(attachment.drain(), name=f"exec in {container.name}")
            return None
        return attachment

    async def _run(self, container: Container, command: Command) -> GuestProcess:
        machine = self._runs.machine(container)
        if await machine.state() is MachineState.PAUSED:
            raise _paused(container)
        return await machine.guest.run(command)

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        """Tell its terminal a new size. Raises NotFound, Conflict when it does not run."""
        exec_ = self.get(exec_id)
        if exec_.process is None or not exec_.running:
            raise Conflict(f"exec {short(exec_id)} is not running")
        await exec_.process.resize(rows, columns)

    def _forget_old(self) -> None:
        for exec_id in [each.id for each in self._execs.values() if not each.running][
            : max(0, len(self._execs) - _KEPT)
        ]:
            del self._execs[exec_id]


class ExecAttachment:
    """Attached to a further program; letting go ends it."""

    def __init__(self, context: Context, exec_: Exec, process: GuestProcess) -> None:
        self._context = context
        self._exec = exec_
        self._process = process

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See Attachment; the exit code is known when it ends."""
        try:
            async for piece in self._process.output():
                yield piece
            self._finish(await self._process.wait())
        finally:
            await self.close()

    async def write(self, data: bytes) -> None:
        """See Attachment."""
        await self._process.write(data)

    async def close_input(self) -> None:
        """See Attachment."""
        await self._process.close_input()

    async def close(self) -> None:
        """See Attachment."""
        self._exec.running = False
        await self._process.close()

    async def drain(self) -> None:
        """See it to its end, whatever it writes."""
        async for _ in self.output():
            pass

    def _finish(self, exit_code: int) -> None:
        self._exec.exit_code = exit_code
        self._exec.running = False
        with contextlib.suppress(NotFound):
            container = lookup.container(self._context.database, self._exec.container_id)
            self._context.announce(container, "exec_die", execID=self._exec.id, exitCode=str(exit_code))


def _paused(container: Container) -> Conflict:
    return Conflict(
        f"Container {container.name} is paused, unpause the container before exec",
        hint=f"ireko unpause {container.name}",
    )


def _inheriting(command: Command, container: Container) -> Command:
    return replace(
        command,
        environment=specs.merge_environment(container.process.environment, command.environment),
        workdir=command.workdir or container.process.workdir,
        user=command.user or container.process.user,
    )
