"""Images leave as one file: a disk that shows what they show, or an archive with all that makes them.

A file is written in a folder beside its place that is noted in the database before, and gets its name when it is whole: a crash
leaves nothing half-made, as the next daemon deletes the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ireko.disk import partitions
from ireko.disk.base import Progress as Steps
from ireko.disk.errors import file_error, told
from ireko.disk.files import DiskFile
from ireko.disk.formats import SECTORED, Format, format_for, format_named, open_layer
from ireko.disk.operations.flatten import flatten
from ireko.disk.output import move_into_place
from ireko.disk.use import refuse_use
from ireko.disk.view import View
from ireko.engine import chains, diskwork, halfmade, layers, lookup, machines
from ireko.engine.archives.contents import gather, identified
from ireko.engine.archives.writing import Kernels, Writer, check_format, gathered
from ireko.engine.context import Context, to_its_end
from ireko.errors import AlreadyThere, Conflict, Damaged, InvalidInput
from ireko.host import files
from ireko.model.image import SECTOR, Image
from ireko.model.names import short
from ireko.model.recipe import Progress


@dataclass(frozen=True)
class Target:
    """A file to be made on this host. `format` "" is what its suffix says, or an archive's usual one.

    With `force` a file that is there is replaced, once the new one is whole.
    """

    path: Path
    format: str = ""
    force: bool = False


class Exporter:
    """Writes images to files and streams."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def disk(self, ref: str, target: Target, *, progress: Progress) -> tuple[str, ...]:
        """One disk file with what an image shows, read back and compared; what its user should know.

        Raises NotFound, InvalidInput, AlreadyThere, Conflict, Damaged, NoSpace, Denied.
        """
        image = lookup.image(self._context.database, ref)
        self._check(target)
        found = _format(target)
        machines.check_chain(self._context, image.top)
        async with layers.holding(self._context, image.top), self._half_made(target) as half:
            work = _Disk(self._context, image, half, found.name)
            await diskwork.do("writing the disk", work.write, progress=progress)
            await diskwork.do("reading it back", work.compare, progress=progress)
            contents = await asyncio.to_thread(work.look)
            machines.check_chain(self._context, image.top)  # somebody may have written to a disk that it is linked to
            self._publish(half, target)
        return (*_warnings(image, contents), *work.losses())

    async def tree(self, refs: Sequence[str], target: Target, *, progress: Progress) -> None:
        """An archive with images, their layers and all that makes them. Raises as `disk` does."""
        format_name = self._layers_format(target.format)
        for ref in refs:
            lookup.image(self._context.database, ref)
        self._check(target)
        async with self._writer(refs, format_name, progress) as writer, self._half_made(target) as half:
            with DiskFile(half, os.O_RDWR | os.O_CREAT | os.O_EXCL) as file:
                place = 0
                for entry in writer.entries():
                    write = partial(_append, file, place, entry.pieces)
                    place = await diskwork.do(f"writing {entry.step}", write, progress=progress)
                await to_its_end(asyncio.to_thread(file.sync))
            self._publish(half, target)

    @contextlib.asynccontextmanager
    async def stream(self, refs: Sequence[str], *, format_name: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
        """The same archive, piece by piece. What is wrong with the images is raised before the first one."""
        format_name = self._layers_format(format_name)
        async with (
            self._writer(refs, format_name, lambda *_: None) as writer,
            contextlib.aclosing(_pieces(writer)) as pieces,
        ):
            yield pieces

    def _layers_format(self, asked: str) -> str:
        format_name = asked or self._context.driver.abilities.disk_format
        check_format(format_name)
        return format_name

    @contextlib.asynccontextmanager
    async def _writer(self, refs: Sequence[str], format_name: str, progress: Progress) -> AsyncIterator[Writer]:
        contents = gather(self._context, refs)
        tops = [each.image.top for each in contents.images]
        with contextlib.closing(Kernels(self._context, contents)) as kernels:
            async with layers.holding(self._context, *tops), self._context.work_folder() as folder:
                found = await identified(self._context, contents.layers, progress)
                yield Writer(self._context, contents, found, kernels, format_name=format_name, folder=folder)

    def _check(self, target: Target) -> None:
        with told(target.path):
            self._check_place(target)

    def _check_place(self, target: Target) -> None:
        path = target.path
        halfmade.check_place(self._context, path)
        if path.is_dir():
            raise InvalidInput(f'"{path}" is a folder', hint=f"name a file in it: {shlex.quote(str(path / 'image'))}")
        if os.path.lexists(path) and not target.force:
            raise AlreadyThere(f'there is a file already: "{path}"', hint="--force replaces it")
        if os.path.lexists(path) and not path.is_file():
            raise Conflict(f'"{path}" is no file that could be replaced')
        if path.exists():
            self._check_unneeded(path)

    def _check_unneeded(self, path: Path) -> None:
        """Raises Conflict when a machine writes to a file that is to be replaced, or an image stands on it."""
        refuse_use(path)
        for layer in self._context.database.layers.values():
            if any(Path(each.path).exists() and path.samefile(each.path) for each in layer.linked):
                raise Conflict(
                    f'the layer "{short(layer.id)}" stands on "{path}", so it can\'t be replaced', hint="ireko tree"
                )

    def _publish(self, half: Path, target: Target) -> None:
        """Give a whole file, which is on the disk, its name. What it replaces may have come into use meanwhile."""
        try:
            if target.force and target.path.exists():
                self._check_unneeded(target.path)
            move_into_place(half, target.path, replace=target.force)
        except OSError as error:
            raise file_error(target.path, error) from error
        with told(target.path):
            files.sync_folder(target.path.parent)

    @contextlib.asynccontextmanager
    async def _half_made(self, target: Target) -> AsyncIterator[Path]:
        """Where a file is made until it gets its name; afterwards nothing is left there."""
        async with halfmade.beside(self._context, target.path) as operation:
            yield Path(operation.path, target.path.name)


class _Disk:
    """One image's disk in the making. Its methods block."""

    def __init__(self, context: Context, image: Image, path: Path, format_name: str) -> None:
        self._context = context
        self._image = image
        self._path = path
        self._format = format_name
        self._sector_size = lookup.layer(context.database, image.top).sector_size

    def write(self, steps: Steps) -> None:
        """Write it."""
        flatten(
            self._context.paths.layer_disk(self._image.top),
            self._path,
            within=chains.folders(self._context, self._image.top),
            source_format=self._context.driver.abilities.disk_format,
            target_format=self._format,
            sector_size=self._sector_size,
            progress=steps,
        )

    def compare(self, steps: Steps) -> None:
        """Raises Damaged when it shows anything else than the image."""
        with chains.of_layer(self._context, self._image.top) as chain:
            offset = chains.first_difference(chain, self._path, self._format, steps)
        if offset is not None:
            raise Damaged(
                f'what was written for "{self._path.name}" differs from the image at byte {offset}, so it was deleted',
                hint="see what the host's log says of the disk below, and export to another one",
            )

    def look(self) -> partitions.Contents:
        """What is on it."""
        with open_layer(self._path, format_name=self._format) as written:
            return partitions.look(View([written]), sector_size=self._sector_size)

    def losses(self) -> Iterator[str]:
        """What the file can't tell of it."""
        if self._sector_size != SECTOR and self._format not in SECTORED:
            size, again = self._sector_size, f"ireko image import --sector-size {self._sector_size}"
            yield f"a {self._format} disk can't tell that its sectors have {size} bytes: {again} makes an image of it again"


def _format(target: Target) -> Format:
    if target.format:
        return format_named(target.format)
    try:
        return format_for(target.path)
    except InvalidInput as error:
        error.hint = "--format vhdx, or qcow2, raw, vhd"
        raise


def _warnings(image: Image, contents: partitions.Contents) -> tuple[str, ...]:
    if contents.bios if image.config.generation == 1 else contents.uefi:
        return ()
    firmware = "BIOS" if image.config.generation == 1 else "UEFI"
    cause = ": its kernel is a file of its own" if image.config.boot else ""
    return (f"no {firmware} can boot the disk{cause}; an archive (--tree) keeps all that makes the image",)


def _append(file: DiskFile, start: int, pieces: Callable[[Steps], Iterator[bytes]], steps: Steps) -> int:
    """Write pieces one after another; where they end."""
    for piece in gathered(pieces(steps)):
        file.write(start, piece)
        start += len(piece)
    return start


async def _pieces(writer: Writer) -> AsyncGenerator[bytes, None]:
    for entry in writer.entries():
        steps = Steps()
        pieces = gathered(entry.pieces(steps))
        try:
            while (piece := await _next(pieces, steps)) is not None:
                yield piece
        finally:
            pieces.close()


async def _next(pieces: Iterator[bytes], steps: Steps) -> bytes | None:
    """The next piece, made by a thread; None after the last. When it is cancelled the thread has stopped."""
    return await diskwork.stoppable(lambda: next(pieces, None), steps)
