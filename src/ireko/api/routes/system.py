"""The daemon itself."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from ireko.api.answers import HEADERS, json_answer
from ireko.api.call import Call
from ireko.api.encode import system
from ireko.api.encode.image import image_usage
from ireko.api.encode.summary import summary, with_sizes
from ireko.api.encode.volume import volume_usage
from ireko.api.facts import facts
from ireko.api.router import Route
from ireko.api.routes.containers import ImagesByContainer
from ireko.engine.system import DiskUsage

_PING = {
    **HEADERS,
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


async def ping(call: Call) -> web.StreamResponse:
    """Whether the daemon is there, and which API it speaks."""
    body = b"" if call.request.method == "HEAD" else b"OK"
    return web.Response(body=body, content_type="text/plain", charset="utf-8", headers=_PING)


async def version(call: Call) -> web.StreamResponse:
    """`docker version`."""
    return json_answer(system.version(await call.engine.system.host(), call.engine.system.abilities()))


async def info(call: Call) -> web.StreamResponse:
    """`docker info`."""
    engine = call.engine
    return json_answer(
        system.info(
            engine.containers.all(),
            images=len(engine.images.all()),
            report=await engine.system.report(layers=False),
            abilities=engine.system.abilities(),
            root=engine.system.root(),
            facts=facts(),
        )
    )


async def disk_usage(call: Call) -> web.StreamResponse:
    """`docker system df`."""
    wanted = set(call.query.texts("type")) or {"image", "container", "volume", "build-cache"}
    usage = await call.engine.system.disk_usage()
    root = call.engine.system.root()
    beside = await call.engine.system.beside()
    return json_answer(
        {
            "LayersSize": usage.layers_size,
            "LayersReclaimable": usage.reclaimable,
            "Images": [
                image_usage(each, [str(name) for name in call.engine.images.references(each.image.id)])
                for each in usage.images
            ]
            if "image" in wanted
            else [],
            "Containers": _containers(call, usage) if "container" in wanted else [],
            "Volumes": [volume_usage(each, root) for each in usage.volumes] if "volume" in wanted else [],
            "BuildCache": [],
            "BuilderSize": 0,
            "Beside": {name.capitalize(): size for name, size in beside.items()},
        }
    )


def _containers(call: Call, usage: DiskUsage) -> list[dict[str, object]]:
    now, root, images = datetime.now(UTC), call.engine.system.root(), ImagesByContainer(call.engine)
    return [
        with_sizes(summary(each.container, *images(each.container), now=now, root=root), each.sizes)
        for each in usage.containers
    ]


async def prune_builds(call: Call) -> web.StreamResponse:
    """`docker system prune` asks for it too: there is no build cache."""
    del call
    return json_answer({"CachesDeleted": None, "SpaceReclaimed": 0})


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/system/df", disk_usage),
    Route("POST", "/build/prune", prune_builds),
)
