"""What docker has no word for."""

from __future__ import annotations

from aiohttp import web

from ireko.api.answers import empty_answer, json_answer
from ireko.api.call import Call
from ireko.api.encode.system import finding, tree_node
from ireko.api.progress import make
from ireko.api.router import Route
from ireko.errors import InvalidInput
from ireko.model.names import Reference


async def tree(call: Call) -> web.StreamResponse:
    """Layers, images and containers, each on what it stands on."""
    return json_answer([tree_node(node) for node in call.engine.system.tree()])


async def recreate(call: Call, ref: str) -> web.StreamResponse:
    """Throw the container's writable layer away and begin again."""
    container = await call.engine.containers.recreate(ref)
    return json_answer({"Id": container.id, "Name": container.name})


async def make_image(call: Call) -> web.StreamResponse:
    """Make an image with a built-in recipe, or with the one in the body."""
    recipe, name = call.query.text("recipe"), call.query.text("tag")
    try:
        source = (await call.raw_body()).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the recipe is no UTF-8 text: {error}") from error
    if not recipe and not source:
        raise InvalidInput("no recipe was named", hint="ireko image make nano")
    reference = Reference.parse(name) if name else None
    return await make(call, recipe, source=source or None, reference=reference)


async def recipes(call: Call) -> web.StreamResponse:
    """The built-in recipes."""
    return json_answer(
        [
            {"Name": each.name, "Description": each.description, "References": [str(name) for name in each.references]}
            for each in call.engine.images.recipes()
        ]
    )


async def doctor(call: Call) -> web.StreamResponse:
    """What was found on this host."""
    report = await call.engine.system.report(layers=True)
    return json_answer([finding(each) for each in report.findings])


async def stop(call: Call) -> web.StreamResponse:
    """End the daemon; machines go on."""
    call.stop()
    return empty_answer()


ROUTES = (
    Route("GET", "/ireko/tree", tree),
    Route("GET", "/ireko/recipes", recipes),
    Route("GET", "/ireko/doctor", doctor),
    Route("POST", "/ireko/containers/{ref}/recreate", recreate),
    Route("POST", "/ireko/images/make", make_image, lasting=True),
    Route("POST", "/ireko/stop", stop),
)
