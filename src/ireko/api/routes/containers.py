"""Containers: listed, made, looked at, thrown away."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from aiohttp import web

from ireko.api import selection
from ireko.api.answers import empty_answer, json_answer
from ireko.api.call import Call
from ireko.api.decode.bodies import CommitBody, CreateBody
from ireko.api.decode.commit import instructions
from ireko.api.decode.container import container_spec, unheeded
from ireko.api.encode.config import labels
from ireko.api.encode.container import inspection
from ireko.api.encode.summary import summary, with_sizes
from ireko.api.router import Route
from ireko.engine.engine import Engine
from ireko.errors import NotFound
from ireko.model.container import Container
from ireko.model.image import Image
from ireko.model.names import Reference


class ImagesByContainer:
    """Looks each image up once in a request, as many containers share one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[Image | None, Collection[str]]] = {}

    def __call__(self, container: Container) -> tuple[Image | None, Collection[str]]:
        """A container's image, None when it is gone, and the image's names."""
        known = self._known.get(container.image)
        if known is None:
            known = self._known[container.image] = self._find(container.image)
        return known

    def _find(self, image_id: str) -> tuple[Image | None, Collection[str]]:
        try:
            image = self._engine.images.get(image_id)
        except NotFound:
            return None, ()
        return image, {str(name) for name in self._engine.images.references(image_id)}


async def list_(call: Call) -> web.StreamResponse:
    """`docker ps`."""
    engine, query = call.engine, call.query
    found = selection.containers(
        engine, query.filters(), everything=query.flag("all"), limit=query.number("limit") or 0
    )
    now, root, images = datetime.now(UTC), engine.system.root(), ImagesByContainer(engine)
    rows = [summary(each, *images(each), now=now, root=root) for each in found]
    if query.flag("size"):
        rows = [with_sizes(row, await engine.containers.sizes(row["Id"])) for row in rows]
    return json_answer(rows)


async def create(call: Call) -> web.StreamResponse:
    """`docker create`."""
    body = await call.body(CreateBody)
    created = await call.engine.containers.create(container_spec(body), name=call.query.text("name") or None)
    return json_answer({"Id": created.container.id, "Warnings": [*created.warnings, *unheeded(body)]}, status=201)


async def inspect(call: Call, ref: str) -> web.StreamResponse:
    """`docker inspect`."""
    engine = call.engine
    container = engine.containers.get(ref)
    image, _ = ImagesByContainer(engine)(container)
    return json_answer(
        inspection(
            container,
            image,
            driver=engine.system.abilities().disk_format,
            root=engine.system.root(),
            execs=[each.id for each in engine.execs.of(container.id)],
            sizes=await engine.containers.sizes(container.id) if call.query.flag("size") else None,
        )
    )


async def remove(call: Call, ref: str) -> web.StreamResponse:
    """`docker rm`."""
    await call.engine.containers.remove(ref, force=call.query.flag("force"), volumes=call.query.flag("v"))
    return empty_answer()


async def rename(call: Call, ref: str) -> web.StreamResponse:
    """`docker rename`."""
    await call.engine.containers.rename(ref, call.query.text("name"))
    return empty_answer()


async def top(call: Call, ref: str) -> web.StreamResponse:
    """`docker top`."""
    found = await call.engine.containers.top(ref, arguments=call.query.text("ps_args"))
    return json_answer({"Titles": found.titles, "Processes": found.processes})


async def changes(call: Call, ref: str) -> web.StreamResponse:
    """`docker diff`."""
    found = await call.engine.containers.diff(ref)
    return json_answer([{"Path": change.path, "Kind": change.kind.value} for change in found])


async def commit(call: Call) -> web.StreamResponse:
    """`docker commit`."""
    query, body = call.query, await call.body(CommitBody)
    repository, tag = query.text("repo"), query.text("tag")
    image = await call.engine.containers.commit(
        query.text("container"),
        reference=Reference.parse(f"{repository}:{tag}" if tag else repository) if repository else None,
        author=query.text("author"),
        comment=query.text("comment"),
        changes=instructions(body, query.texts("changes")),
        pause=query.flag("pause", default=True),
    )
    return json_answer({"Id": image.id}, status=201)


async def prune(call: Call) -> web.StreamResponse:
    """`docker container prune`."""
    engine, filters = call.engine, call.query.filters().check(selection.PRUNE_KEYS)
    images = ImagesByContainer(engine)

    def wanted(container: Container) -> bool:
        image, _ = images(container)
        return selection.prunable(filters, labels(container, image), container.created)

    pruned = await engine.containers.prune(wanted)
    return json_answer({"ContainersDeleted": list(pruned.names), "SpaceReclaimed": pruned.reclaimed})


ROUTES = (
    Route("GET", "/containers/json", list_),
    Route("POST", "/containers/create", create),
    Route("POST", "/containers/prune", prune),
    Route("GET", "/containers/{ref}/json", inspect),
    Route("DELETE", "/containers/{ref}", remove),
    Route("POST", "/containers/{ref}/rename", rename),
    Route("GET", "/containers/{ref}/top", top),
    Route("GET", "/containers/{ref}/changes", changes),
    Route("POST", "/commit", commit),
)
