"""Networks: there are two, and none can be made yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from ireko.api.answers import json_answer
from ireko.api.call import Call
from ireko.api.decode.query import Filters
from ireko.api.encode import network
from ireko.api.router import Route
from ireko.errors import Unsupported

_KEYS = {"dangling", "driver", "id", "label", "name", "scope", "type"}


async def list_(call: Call) -> web.StreamResponse:
    """`docker network ls`."""
    filters = call.query.filters().check(_KEYS)
    found = network.networks(call.engine.containers.all())
    # A list says which networks there are; who is on them stands in each one's own answer.
    return json_answer([{**each, "Containers": {}} for each in found if _fits(each, filters)])


def _fits(found: dict[str, Any], filters: Filters) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "name": lambda text: text in found["Name"],
        "id": found["Id"].startswith,
        "driver": lambda text: text == found["Driver"],
        "scope": lambda text: text == "local",
        "type": lambda text: text == "builtin",
        "label": lambda text: False,
        "dangling": lambda text: text.lower() in {"0", "false"},
    }
    return all(any(tests[key](text) for text in filters.get(key)) for key in filters)


async def inspect(call: Call, name: str) -> web.StreamResponse:
    """`docker network inspect`."""
    return json_answer(network.find(name, call.engine.containers.all()))


async def prune(call: Call) -> web.StreamResponse:
    """`docker network prune`: those that are always there stay."""
    call.query.filters()
    return json_answer({"NetworksDeleted": None})


async def refuse(call: Call, name: str = "") -> web.StreamResponse:
    """Making, removing and joining networks."""
    del call, name
    raise Unsupported("networks can't be made or changed yet: each machine has one of its own, with published ports")


ROUTES = (
    Route("GET", "/networks", list_),
    Route("POST", "/networks/create", refuse),
    Route("POST", "/networks/prune", prune),
    Route("GET", "/networks/{name}", inspect),
    Route("DELETE", "/networks/{name}", refuse),
    Route("POST", "/networks/{name}/connect", refuse),
    Route("POST", "/networks/{name}/disconnect", refuse),
)
