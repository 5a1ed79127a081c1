"""Volumes."""

from __future__ import annotations

from aiohttp import web

from ireko.api import selection
from ireko.api.answers import empty_answer, json_answer
from ireko.api.call import Call
from ireko.api.decode.bodies import VolumeBody
from ireko.api.decode.query import Filters
from ireko.api.encode.volume import volume_row
from ireko.api.router import Route
from ireko.api.versions import Version
from ireko.engine.volumes import ANONYMOUS
from ireko.errors import Unsupported
from ireko.model.volume import Volume

_KEYS = {"dangling", "driver", "label", "name"}
_PRUNE_KEYS = {"all", "label", "label!"}
_UNNAMED_ONLY = Version(1, 42)
"""From here on a prune spares volumes that were given a name, unless told otherwise."""


async def list_(call: Call) -> web.StreamResponse:
    """`docker volume ls`."""
    filters, root = call.query.filters().check(_KEYS), call.engine.system.root()
    found = [volume_row(each, root) for each in call.engine.volumes.all() if _fits(call, each, filters)]
    return json_answer({"Volumes": found, "Warnings": None})


def _fits(call: Call, volume: Volume, filters: Filters) -> bool:
    if "dangling" in filters and bool(call.engine.volumes.users(volume.name)) is filters.flag("dangling", default=True):
        return False
    if "name" in filters and not any(text in volume.name for text in filters.get("name")):
        return False
    if "driver" in filters and "local" not in filters.get("driver"):
        return False
    return selection.has_labels(volume.labels, filters.get("label"))


async def create(call: Call) -> web.StreamResponse:
    """`docker volume create`."""
    body = await call.body(VolumeBody)
    if body.driver not in {None, "", "local"}:
        raise Unsupported(f'there is no volume driver "{body.driver}"', hint="local")
    if body.driver_opts:
        raise Unsupported(f"volumes take no options: {', '.join(sorted(body.driver_opts))}")
    unnamed = {} if body.name else {ANONYMOUS: ""}
    volume = await call.engine.volumes.create(body.name or None, {**(body.labels or {}), **unnamed})
    return json_answer(volume_row(volume, call.engine.system.root()), status=201)


async def inspect(call: Call, name: str) -> web.StreamResponse:
    """`docker volume inspect`."""
    return json_answer(volume_row(call.engine.volumes.get(name), call.engine.system.root()))


async def remove(call: Call, name: str) -> web.StreamResponse:
    """`docker volume rm`."""
    await call.engine.volumes.remove(name, force=call.query.flag("force"))
    return empty_answer()


async def prune(call: Call) -> web.StreamResponse:
    """`docker volume prune`."""
    volumes, filters = call.engine.volumes, call.query.filters().check(_PRUNE_KEYS)
    everything = filters.flag("all", default=call.version < _UNNAMED_ONLY)
    names, reclaimed = [], 0
    for each in volumes.all():
        wanted = (everything or ANONYMOUS in each.labels) and selection.prunable(filters, each.labels, each.created)
        if wanted and not volumes.users(each.name):
            reclaimed += volumes.size(each.name)
            await volumes.remove(each.name, force=True)
            names.append(each.name)
    return json_answer({"VolumesDeleted": names, "SpaceReclaimed": reclaimed})


ROUTES = (
    Route("GET", "/volumes", list_),
    Route("POST", "/volumes/create", create),
    Route("POST", "/volumes/prune", prune),
    Route("GET", "/volumes/{name}", inspect),
    Route("DELETE", "/volumes/{name}", remove),
)
