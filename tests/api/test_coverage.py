"""What `docs/api-coverage.md` says of each route is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ireko.api.routes.table import ROUTES

from .conftest import Http

PAGE = Path(__file__).parents[2] / "docs" / "api-coverage.md"
ROW = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| ([^|]*) \|", re.MULTILINE)
ANSWERED = {"there", "partly", "refused"}


def bare(path: str) -> str:
    """The path with nameless parts, as docker names them otherwise than we do."""
    return re.sub(r"\{[^}]*\}", "{}", path)


STATES = {(method, bare(path)): state for method, path, state in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def test_it_names_exactly_the_routes_there_are() -> None:
    said = {route for route, state in STATES.items() if state in ANSWERED or route[1].startswith("/ireko/")}
    assert said == {(route.method, bare(route.path)) for route in ROUTES}


def test_it_knows_four_states() -> None:
    states = {state for (_, path), state in STATES.items() if not path.startswith("/ireko/")}
    assert states == ANSWERED | {"not there"}


@pytest.mark.parametrize("wanted", ["refused", "not there"])
async def test_it_is_so(http: Http, wanted: str) -> None:
    for (method, path), state in STATES.items():
        if state == wanted:
            answered = await http(method, path.replace("{}", "bridge"))
            assert answered.status == (501 if wanted == "refused" else 404), (method, path)
            assert wanted == "refused" or answered.body == {"message": "page not found"}, (method, path)
