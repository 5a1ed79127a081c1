"""Images."""

from __future__ import annotations

from aiohttp import web

from ireko.api import selection
from ireko.api.answers import empty_answer, json_answer
from ireko.api.call import Call
from ireko.api.decode.query import Filters
from ireko.api.encode.image import history_row, image_inspection, image_row, image_usage, removed
from ireko.api.progress import make
from ireko.api.router import Route
from ireko.errors import InvalidInput, NotFound, Unsupported
from ireko.model.names import Reference


async def list_(call: Call) -> web.StreamResponse:
    """`docker images`."""
    engine, filters = call.engine, call.query.filters()
    found = [(image, selection.names(engine, image, filters)) for image in selection.images(engine, filters)]
    if call.query.flag("shared-size"):
        usages = engine.system.image_usages()
        return json_answer([image_usage(usages[image.id], names) for image, names in found])
    return json_answer([image_row(image, names, engine.images.size(image)) for image, names in found])


async def inspect(call: Call, name: str) -> web.StreamResponse:
    """`docker image inspect`."""
    images = call.engine.images
    image = images.get(name)
    names = [str(reference) for reference in images.references(image.id)]
    driver = call.engine.system.abilities().disk_format
    layers = [images.layer(layer) for layer in image.layers]
    linked = [each.path for layer in layers for each in layer.linked]
    return json_answer(
        image_inspection(
            image, names, images.size(image), driver=driver, sector_size=layers[-1].sector_size, linked=linked
        )
    )


async def history(call: Call, name: str) -> web.StreamResponse:
    """`docker history`."""
    return json_answer([history_row(row) for row in call.engine.images.history(name)])


async def tag(call: Call, name: str) -> web.StreamResponse:
    """`docker tag`."""
    repository, version = call.query.text("repo"), call.query.text("tag")
    reference = Reference.parse(f"{repository}:{version}" if version else repository)
    call.engine.images.tag(name, reference)
    return empty_answer(201)


async def remove(call: Call, name: str) -> web.StreamResponse:
    """`docker rmi`."""
    done = await call.engine.images.remove(name, force=call.query.flag("force"))
    return json_answer([removed(each) for each in done])


async def create(call: Call) -> web.StreamResponse:
    """`docker pull`: an image that a built-in recipe makes is made; there is no registry to ask for others yet."""
    name, version = call.query.text("fromImage"), call.query.text("tag")
    if not name:
        raise (
            InvalidInput("no image was named")
            if not call.query.text("fromSrc")
            else Unsupported("images can't be made of archives of files yet", hint="ireko image import takes disks")
        )
    reference = Reference.parse(f"{name}:{version}" if version else name)
    recipe = call.engine.images.recipe_for(reference)
    if recipe is None:
        known = ", ".join(str(each.references[0]) for each in call.engine.images.recipes())
        raise NotFound(
            f"no recipe makes {reference}, and images can't be pulled from a registry yet (there are recipes for: {known})",
            hint="ireko image make RECIPE",
        )
    return await make(call, recipe, pulled=reference)


async def prune(call: Call) -> web.StreamResponse:
    """`docker image prune`."""
    engine, filters = call.engine, call.query.filters().check(selection.PRUNE_KEYS | {"dangling"})
    dangling_only = filters.flag("dangling", default=True)
    if not selection.PRUNE_KEYS & set(filters):
        pruned = await engine.images.prune(dangling_only=dangling_only)
        done, reclaimed = [removed(each) for each in pruned.removed], pruned.reclaimed
    else:
        done, reclaimed = await _prune_some(call, filters, dangling_only=dangling_only)
    return json_answer({"ImagesDeleted": done or None, "SpaceReclaimed": reclaimed})


async def _prune_some(call: Call, filters: Filters, *, dangling_only: bool) -> tuple[list[dict[str, str]], int]:
    engine = call.engine
    before = (await engine.system.disk_usage()).layers_size
    done: list[dict[str, str]] = []
    for image in engine.images.all():
        unwanted = not engine.images.users(image.id) and not (dangling_only and engine.images.references(image.id))
        if unwanted and selection.prunable(filters, image.config.labels, image.created):
            done += [removed(each) for each in await engine.images.remove(image.id, force=True)]
    return done, before - (await engine.system.disk_usage()).layers_size


ROUTES = (
    Route("GET", "/images/json", list_),
    Route("POST", "/images/create", create, lasting=True),
    Route("POST", "/images/prune", prune),
    Route("GET", "/images/{name*}/json", inspect),
    Route("GET", "/images/{name*}/history", history),
    Route("POST", "/images/{name*}/tag", tag),
    Route("DELETE", "/images/{name*}", remove),
)
