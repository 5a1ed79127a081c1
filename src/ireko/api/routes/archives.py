"""Images as files: disks, and archives with all that makes them. Paths are those of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiohttp import web

from ireko.api.answers import Outflow
from ireko.api.call import Call
from ireko.api.progress import Latest, Line, told
from ireko.api.router import Route
from ireko.engine.archives.loading import Loaded
from ireko.engine.exporting import Target
from ireko.errors import InvalidInput
from ireko.model.names import Reference
from ireko.model.recipe import Progress

_TAR = "application/x-tar"


class ExportBody(msgspec.Struct, rename="pascal"):
    """`POST /ireko/images/{name}/export`. `format` "" is what the suffix of `path` says; with `tree` an archive is written."""

    path: str = ""
    format: str = ""
    tree: bool = False
    force: bool = False


async def export(call: Call, name: str) -> web.StreamResponse:
    """Write an image to a file: a disk that shows what it shows, or an archive of its layers."""
    body = await call.body(ExportBody)
    if not body.path:
        raise InvalidInput("no file was named to export to")
    target = Target(Path(body.path), body.format, body.force)

    async def work(progress: Progress) -> tuple[str, ...]:
        if not body.tree:
            return await call.engine.exporter.disk(name, target, progress=progress)
        await call.engine.exporter.tree([name], target, progress=progress)
        return ()

    def last(warnings: Sequence[str]) -> list[Line]:
        return [
            {"status": f"exported to {target.path}"},
            {"aux": {"Path": str(target.path), "Warnings": list(warnings)}},
        ]

    return await told(call, Latest(target.path.name), work, last)


async def get(call: Call, name: str) -> web.StreamResponse:
    """`docker save` of one image."""
    return await _send(call, [name])


async def get_several(call: Call) -> web.StreamResponse:
    """`docker save`."""
    return await _send(call, call.query.texts("names"))


async def load(call: Call) -> web.StreamResponse:
    """`docker load`: the images of an archive that is sent; `tag` names the one that is in it."""
    tag, quiet = call.query.text("tag"), call.query.flag("quiet")
    reference = Reference.parse(tag) if tag else None

    async def work(progress: Progress) -> tuple[Loaded, ...]:
        heard: Progress = (lambda *_: None) if quiet else progress
        return await call.engine.loader.load(call.pieces(), reference=reference, progress=heard)

    return await told(call, Latest("archive"), work, loaded_lines)


def loaded_lines(loaded: Sequence[Loaded]) -> list[Line]:
    """What `docker load` says of the images that came, and their ids for programs."""
    lines: list[Line] = []
    for each in loaded:
        said = [f"Loaded image: {name}" for name in each.references] or [f"Loaded image ID: {each.image.id}"]
        lines += ({"stream": f"{text}\n"} for text in said)
        lines.append({"aux": {"ID": each.image.id}})
    return lines


async def _send(call: Call, names: list[str]) -> web.StreamResponse:
    async with call.engine.exporter.stream(names, format_name=call.query.text("format")) as pieces:
        answer = await Outflow.begin(call.request, content_type=_TAR)
        async for piece in pieces:
            await answer.send(piece)
        return await answer.end()


ROUTES = (
    Route("POST", "/ireko/images/{name*}/export", export, lasting=True),
    Route("GET", "/images/get", get_several, lasting=True),
    Route("GET", "/images/{name*}/get", get, lasting=True),
    Route("POST", "/images/load", load, lasting=True),
)
