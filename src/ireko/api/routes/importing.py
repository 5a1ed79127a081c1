"""Images of disks and machines from elsewhere, and images on other layers. Paths are those of this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec
from aiohttp import web

from ireko.api.call import Call
from ireko.api.progress import Latest, Line, image_lines, told, told_machine
from ireko.api.router import Route
from ireko.api.routes.archives import loaded_lines
from ireko.engine.archives.receiving import is_archive
from ireko.engine.importing import Imported, Settings, Source
from ireko.errors import InvalidInput
from ireko.model.image import Hardware
from ireko.model.names import Reference


class ImportBody(msgspec.Struct, rename="pascal"):
    """`POST /ireko/images/import`. 0 and "" are what the disk suggests; memory and sectors are in bytes; `like` is an image."""

    path: str = ""
    name: str = ""
    format: str = ""
    within: tuple[str, ...] = ()
    link: bool = False
    generation: int = 0
    hardware: str = ""
    cpus: float = 0
    memory: int = 0
    sector_size: int = 0
    like: str = ""


class AdoptBody(msgspec.Struct, rename="pascal"):
    """`POST /ireko/adopt`. `machine` is a name, or the path of a folder or a file."""

    machine: str = ""
    name: str = ""
    within: tuple[str, ...] = ()
    link: bool = False


async def import_(call: Call) -> web.StreamResponse:
    """Make an image of a disk file and its parents, or take those of an archive."""
    body = await call.body(ImportBody)
    if not body.path:
        raise InvalidInput("no disk file was named")
    source = Source(Path(body.path), body.format, tuple(map(Path, body.within)))
    like = call.engine.images.get(body.like) if body.like else None
    settings = Settings(
        like, body.generation or None, _hardware(body.hardware), body.cpus, body.memory, body.sector_size
    )
    reference = _reference(body.name)
    if not body.format and is_archive(source.path):
        return await _import_archive(call, body, reference)
    return await told(
        call,
        Latest(source.path.name),
        lambda progress: call.engine.importer.bring(
            source, settings, reference=reference, link=body.link, progress=progress
        ),
        lambda made: _made(made, "imported"),
    )


async def _import_archive(call: Call, body: ImportBody, reference: Reference | None) -> web.StreamResponse:
    if body != ImportBody(path=body.path, name=body.name):
        raise InvalidInput(f'"{body.path}" is an archive, whose images have their settings: they can\'t be given')
    path = Path(body.path)
    return await told(
        call,
        Latest(path.name),
        lambda progress: call.engine.loader.load_file(path, reference=reference, progress=progress),
        loaded_lines,
    )


async def adopt(call: Call) -> web.StreamResponse:
    """Make an image of a machine."""
    body = await call.body(AdoptBody)
    if not body.machine:
        raise InvalidInput("no machine was named")
    reference, within = _reference(body.name), tuple(map(Path, body.within))

    return await told(
        call,
        Latest(Path(body.machine).name),
        lambda progress: call.engine.adopter.adopt(
            body.machine, reference=reference, link=body.link, within=within, progress=progress
        ),
        lambda made: _made(made, "adopted"),
    )


async def flatten(call: Call, name: str) -> web.StreamResponse:
    """Make one layer of an image's layers."""
    reference = _reference(call.query.text("tag"))
    return await told(
        call,
        Latest(name),
        lambda progress: call.engine.reshaper.flatten(name, reference=reference, progress=progress),
        lambda image: image_lines(image, "flattened"),
    )


async def rebase(call: Call, name: str) -> web.StreamResponse:
    """Put an image on top of another."""
    onto, reference = call.query.text("onto"), _reference(call.query.text("tag"))
    if not onto:
        raise InvalidInput("no image to rebase onto was named")
    return await told(
        call,
        Latest(name),
        lambda progress: call.engine.reshaper.rebase(name, onto, reference=reference, progress=progress),
        lambda image: image_lines(image, "rebased"),
    )


def _made(made: Imported, done: str) -> list[Line]:
    status, aux = image_lines(made.image, done, machine=told_machine(made.image.config, made.sector_size))
    return [status, {"aux": {**aux["aux"], "Warnings": list(made.warnings)}}]


def _reference(written: str) -> Reference | None:
    return Reference.parse(written) if written else None


def _hardware(written: str) -> Hardware | None:
    if not written:
        return None
    try:
        return Hardware(written)
    except ValueError:
        known = " or ".join(each.value for each in Hardware)
        raise InvalidInput(f'there is no hardware "{written}": it is {known}') from None


ROUTES = (
    Route("POST", "/ireko/images/import", import_, lasting=True),
    Route("POST", "/ireko/adopt", adopt, lasting=True),
    Route("POST", "/ireko/images/{name*}/flatten", flatten, lasting=True),
    Route("POST", "/ireko/images/{name*}/rebase", rebase, lasting=True),
)
