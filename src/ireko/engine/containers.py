"""Containers: made, started, stopped, thrown away and made again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ireko.drivers.base import Command, FileEntry, Machine, MachineState, Stream, Usage
from ireko.engine import creation, layers, lookup, specs
from ireko.engine.attach import Attachment, MainAttachment
from ireko.engine.commit import Committer
from ireko.engine.context import Context, now, to_its_end
from ireko.engine.guestfiles import Change, GuestFiles
from ireko.engine.loglines import LogLine
from ireko.engine.reading import read_log
from ireko.engine.removal import Remover
from ireko.engine.runs import Runs, Waited
from ireko.engine.volumes import Pruned, Volumes
from ireko.errors import Conflict, GuestFailed, InvalidInput, IrekoError, NotFound, NotModified, Unsupported
from ireko.host import files
from ireko.model.container import Container, ContainerSpec, Status
from ireko.model.image import Image, Layer
from ireko.model.names import Reference, check_container_name, new_id
from ireko.store.database import Operation

RESTART = "restart"
_SIGKILL, _SIGTERM = 9, 15


@dataclass(frozen=True)
class Created:
    """A fresh container, and what its user should know."""

    container: Container
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Top:
    """The processes in a guest, as its `ps` tells them."""

    titles: list[str]
    processes: list[list[str]]


@dataclass(frozen=True)
class Sizes:
    """Bytes on the host's disk: of the writable layer alone, and with all that it stands on."""

    own: int
    total: int


class Containers:
    """The containers. A `ref` is a name, an id, or the beginning of one: NotFound and Ambiguous are raised for it."""

    def __init__(self, context: Context, runs: Runs, volumes: Volumes, remover: Remover) -> None:
        self._context = context
        self._runs = runs
        self._volumes = volumes
        self._committer = Committer(context, runs)
        self._remover = remover
        self._files = GuestFiles(context, runs)
        runs.remove_ended = self._remove_ended

    def get(self, ref: str) -> Container:
        """Look it up."""
        return lookup.container(self._context.database, ref)

    def all(self) -> list[Container]:
        """All of them, the newest first."""
        return sorted(self._context.database.containers.values(), key=lambda each: each.created, reverse=True)

    async def create(self, spec: ContainerSpec, *, name: str | None = None) -> Created:
        """Make a container without starting it. Raises NotFound (the image), AlreadyThere, InvalidInput, NoSpace."""
        context = self._context
        draft = creation.draft(context, spec, name)
        container = draft.container
        async with creation.volumes_of(context, self._volumes, draft) as fresh:
            creation.check_again(context, container)
            with creation.folder_of(context, container), context.database.change() as change:
                for volume in fresh:
                    change.put_volume(volume)
                change.put_container(container)
        self._volumes.announce_made(fresh)
        context.announce(container, "create")
        return Created(container, creation.warnings(context, container))

    async def start(self, ref: str) -> None:
        """Start its machine; a container that goes when it ends goes when it can't start, too.

        Raises NotModified when it runs, Conflict, Damaged, NoSpace, Unavailable.
        """
        async with self.held(ref) as container:
            if container.status is Status.PAUSED:
                raise Conflict(
                    f"cannot start a paused container, try unpause instead: {container.name}",
                    hint=f"ireko unpause {container.name}",
                )
            await self._start(container)

    async def stop(self, ref: str, *, timeout: int | None = None, signal: int | None = None) -> None:  # noqa: ASYNC109
        """Ask the guest to end; after `timeout` seconds (the container's own by default; below 0: never) cut the power.

        Raises NotModified when it does not run.
        """
        await self._stop(ref, timeout=timeout, signal=signal, again=False)

    async def restart(self, ref: str, *, timeout: int | None = None, signal: int | None = None) -> None:  # noqa: ASYNC109
        """Stop it, if it runs, and start it. It is noted before, so that a daemon which starts meanwhile does both."""
        operation = Operation(new_id(), RESTART, self.get(ref).id)
        with self._context.database.change() as change:
            change.put_operation(operation)
        try:
            with contextlib.suppress(NotModified):
                await self._stop(operation.container, timeout=timeout, signal=signal, again=True)
            async with self.held(operation.container) as container:
                await self._start(container)
                self._context.announce(self.get(container.id), "restart")
        finally:
            self._context.finished(operation)

    async def kill(self, ref: str, *, signal: int = _SIGKILL) -> None:
        """Cut the power (signal 9), or send the main process a signal. Raises Conflict when it does not run."""
        container = self.get(ref)
        machine = self._runs.machine(container)
        if signal in {_SIGKILL, _SIGTERM}:
            self._context.note(container.id, manually_stopped=True)
            self._runs.forgo_restart(container.id)
        if signal == _SIGKILL:
            await self._runs.cut(container, keep=True)
        elif not container.system:
            await machine.guest.signal(signal)
        elif signal == _SIGTERM:
            await machine.request_power_off()
        else:
            raise Unsupported(
                f'"{container.name}" runs a whole system: it takes the signals KILL and TERM, not {signal}',
                hint=f"ireko exec {container.name} kill …",
            )
        self._context.announce(container, "kill", signal=str(signal))

    async def pause(self, ref: str) -> None:
        """Hold the machine still. Raises Conflict."""
        async with self.held(ref) as container:
            machine = self._runs.machine(container)
            if await machine.state() is MachineState.PAUSED:
                raise Conflict(f"Container {container.name} is already paused")
            await machine.pause()
            self._note_state(container, machine, Status.PAUSED, "pause")

    async def unpause(self, ref: str) -> None:
        """Let it go on. Raises Conflict."""
        async with self.held(ref) as container:
            machine = self._runs.machine(container)
            if await machine.state() is not MachineState.PAUSED:
                raise Conflict(f"Container {container.name} is not paused")
            await machine.resume()
            self._note_state(container, machine, Status.RUNNING, "unpause")

    async def rename(self, ref: str, name: str) -> None:
        """Raises AlreadyThere, InvalidInput."""
        name = check_container_name(name)
        async with self.held(ref) as container:
            creation.check_name_free(self._context, name)
            renamed = self._context.update(container.id, name=name)
            self._context.announce(renamed, "rename", oldName=f"/{container.name}")

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Throw it away. Raises Conflict when it runs and it is not forced."""
        async with self.held(ref) as container:
            if not force and (self._runs.running(container.id) or container.status is Status.RESTARTING):
                raise Conflict(
                    f"cannot remove container {container.name}: container is {container.status.value}: "
                    "stop the container before removing or force remove",
                    hint=f"ireko rm -f {container.name}",
                )
            await self._remover.remove(container, volumes=volumes or container.spec.auto_remove)

    async def recreate(self, ref: str) -> Container:
        """Throw the writable layer away and start again from the image: the same name and settings, a new id.

        The present state of the image's name counts; the container runs afterwards when it ran before.
        """
        async with self.held(ref) as old:
            fresh = self._fresh(old)
            async with self._context.locks(fresh.id):  # its name is known as soon as it is recorded
                gone = layers.unused(self._context, without=old.id)
                with creation.folder_of(self._context, fresh), self._context.database.change() as change:
                    change.delete_container(old.id)
                    change.put_container(fresh)
                    layers.forget(change, gone)
                self._context.announce(fresh, "recreate")
                await self._take_over(old, gone, fresh)
        return self.get(fresh.id)

    async def wait(self, ref: str, *, condition: str = "not-running") -> Waited:
        """Until it does not run ("not-running"), has ended once more ("next-exit"), or is gone ("removed").

        It is registered before this first awaits.
        """
        if condition not in {"not-running", "next-exit", "removed"}:
            raise InvalidInput(f'invalid condition: "{condition}"', hint="not-running, next-exit or removed")
        return await self._runs.wait_for(self.get(ref), condition)

    async def commit(
        self,
        ref: str,
        *,
        reference: Reference | None = None,
        author: str = "",
        comment: str = "",
        changes: tuple[str, ...] = (),
        pause: bool = True,
    ) -> Image:
        """See Committer.commit."""
        return await self._committer.commit(
            ref, reference=reference, author=author, comment=comment, instructions=changes, sync=pause
        )

    async def diff(self, ref: str) -> list[Change]:
        """The files that differ from the image's."""
        return await self._files.diff(ref)

    async def top(self, ref: str, *, arguments: str = "") -> Top:
        """The processes in the guest. Raises Conflict when it does not run, GuestFailed when its `ps` does not do."""
        guest = self._runs.machine(self.get(ref)).guest
        for words in [arguments.split()] if arguments else [["-ef"], ["-o", "pid,ppid,user,time,args"]]:
            process = await guest.run(Command(("ps", *words)))
            try:
                pieces = [(stream, data) async for stream, data in process.output()]
                code = await process.wait()
            finally:
                await process.close()
            if code == 0:
                return _table(b"".join(data for stream, data in pieces if stream is Stream.STDOUT))
        said = b"".join(data for _, data in pieces).decode(errors="replace").strip()
        raise GuestFailed(f"ps failed in the guest with exit code {code}: {said}")

    async def usage(self, ref: str) -> Usage:
        """What its machine has used; zeros when it does not run."""
        machine = self._runs.running(self.get(ref).id)
        return await machine.usage() if machine else Usage(0, 0, 0, 0, 0, 0, 0, 0)

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        stdout: bool = True,
        stderr: bool = True,
    ) -> AsyncIterator[LogLine]:
        """Its output line by line; with `follow` until the run that goes on ends."""
        container = self.get(ref)
        wanted = {stream for stream, yes in ((Stream.STDOUT, stdout), (Stream.STDERR, stderr)) if yes}
        running = self._runs.running(container.id) is not None
        return read_log(
            self._runs.log(container), follow=follow and running, tail=tail, since=since, until=until, streams=wanted
        )

    async def attach(self, ref: str, *, logs: bool = False, stream: bool = True) -> Attachment:
        """Connect to the main process, from now on; may be called before the start."""
        return MainAttachment(self._runs, self.get(ref), logs=logs, stream=stream)

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Tell the main process's terminal a new size. Raises Conflict when it does not run."""
        await self._runs.machine(self.get(ref)).guest.resize(rows, columns)

    async def archive(self, ref: str, path: str) -> tuple[FileEntry, AsyncIterator[bytes]]:
        """See GuestFiles.archive."""
        return await self._files.archive(ref, path)

    async def stat(self, ref: str, path: str) -> FileEntry:
        """See GuestFiles.stat."""
        return await self._files.stat(ref, path)

    async def unpack(self, ref: str, path: str, pieces: AsyncIterator[bytes]) -> None:
        """See GuestFiles.unpack."""
        await self._files.unpack(ref, path, pieces)

    async def sizes(self, ref: str) -> Sizes:
        """What it takes on the host's disk."""
        container = self.get(ref)
        own = files.disk_bytes(self._context.paths.container_disk(container.id))
        return Sizes(own, own + layers.chain_size(self._context, container.parent))

    async def prune(self, wanted: Callable[[Container], bool] = lambda _: True) -> Pruned:
        """Remove all that do not run, or those of them that are wanted."""
        removed: list[str] = []
        reclaimed = 0
        for container in self.all():
            if container.status in {Status.CREATED, Status.EXITED, Status.DEAD} and wanted(container):
                size = (await self.sizes(container.id)).own
                with contextlib.suppress(NotFound, Conflict):  # gone already, or started meanwhile
                    await self.remove(container.id)
                    removed.append(container.id)
                    reclaimed += size
        return Pruned(tuple(removed), reclaimed)

    @contextlib.asynccontextmanager
    async def held(self, ref: str) -> AsyncIterator[Container]:
        """Hold the lock of the container that is meant: by the time it is free, a name may mean another one.

        What an earlier change could not finish is finished first.
        """
        while True:
            container_id = self.get(ref).id
            async with self._context.locks(container_id):
                if self.get(ref).id == container_id:
                    await self._settle(container_id)
                    yield self.get(container_id)
                    return

    async def _start(self, container: Container) -> None:
        try:
            await self._runs.start(container)
        except NotModified:
            raise
        except (IrekoError, OSError):
            if container.spec.auto_remove:
                await self._remover.remove(self.get(container.id), volumes=True)
            raise

    async def _stop(self, ref: str, *, timeout: int | None, signal: int | None, again: bool) -> None:  # noqa: ASYNC109
        async with self.held(ref) as container:
            ending = self._runs.begin_end(container, again=again)
        if ending is not None:
            # Its lock is free meanwhile: who loses patience can still kill or remove it.
            limit = container.stop_timeout if timeout is None else timeout
            await self._runs.end(container, ending, timeout=limit, signal=signal)
        self._context.announce(container, "stop")

    async def _settle(self, container_id: str) -> None:
        for operation in self._committer.unsettled(container_id):
            await self._committer.settle(operation)
        container = self.get(container_id)
        if container.status.has_machine and self._runs.running(container_id) is None:
            await self._runs.adopt(container)

    def _note_state(self, container: Container, machine: Machine, status: Status, action: str) -> None:
        """Record what a machine was brought to, unless it has ended meanwhile."""
        if self._runs.running(container.id) is machine:
            self._context.announce(self._context.note(container.id, status=status, error=""), action)

    def _fresh(self, old: Container) -> Container:
        """The container that takes another's place; RESTARTING when that one runs: a new daemon would start it."""
        image = self._image_now(old)
        runs = self._runs.running(old.id) is not None or old.status is Status.RESTARTING
        return replace(
            old,
            id=new_id(),
            image=image.id,
            parent=image.top,
            process=specs.process(old.spec, image),
            created=now(),
            status=Status.RESTARTING if runs else Status.CREATED,
            exit_code=0,
            error="",
            started=None,
            finished=None,
            restarts=0,
            manually_stopped=False,
            published=specs.ports(old.spec, image),
        )

    async def _take_over(self, old: Container, gone: list[Layer], fresh: Container) -> None:
        try:
            await to_its_end(self._remover.clear_away(old, gone))
            if fresh.status is Status.RESTARTING:
                await self._runs.start(fresh)
        except BaseException:
            if self.get(fresh.id).status is Status.RESTARTING:
                self._context.note(fresh.id, status=Status.CREATED)
            raise

    def _remove_ended(self, container: Container) -> None:
        async def remove() -> None:
            with contextlib.suppress(NotFound, Conflict):  # gone already, or started again
                await self.remove(container.id, volumes=True)

        self._context.tasks.start(remove(), name=f"removal of {container.name}")

    def _image_now(self, container: Container) -> Image:
        """The image that its name means now; the one it was made from when the name is gone."""
        try:
            return lookup.image(self._context.database, container.spec.image)
        except NotFound:
            return lookup.image_of(self._context.database, container)


def _table(text: bytes) -> Top:
    """ps's table: as many columns as it has titles, the last one takes the rest of the line."""
    lines = text.decode(errors="replace").splitlines()
    titles = lines[0].split() if lines else []
    return Top(titles, [line.split(None, max(0, len(titles) - 1)) for line in lines[1:] if line.strip()])
