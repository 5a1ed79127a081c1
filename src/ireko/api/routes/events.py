"""What happens."""

from __future__ import annotations

from aiohttp import web

from ireko.api.answers import Outflow
from ireko.api.call import Call
from ireko.api.decode.query import Filters
from ireko.api.encode.event import event_message
from ireko.api.router import Route
from ireko.api.selection import has_labels
from ireko.model.event import Event

_NOUNS = {"container", "image", "volume", "network", "daemon"}
_KEYS = _NOUNS | {"event", "label", "scope", "type"}


async def events(call: Call) -> web.StreamResponse:
    """`docker events`."""
    filters = call.query.filters().check(_KEYS)
    found = call.engine.events.stream(since=call.query.moment("since"), until=call.query.moment("until"))
    answer = await Outflow.begin(call.request)
    async for event in found:
        if _fits(event, filters):
            await answer.send_json(event_message(event))
    return await answer.end()


def _fits(event: Event, filters: Filters) -> bool:
    # An action like `exec_start: ls` is found by its first word.
    action = event.action.partition(":")[0]
    if "type" in filters and event.kind not in filters.get("type"):
        return False
    if "event" in filters and not {action, event.action} & set(filters.get("event")):
        return False
    if "scope" in filters and "local" not in filters.get("scope"):
        return False
    nouns = _NOUNS & set(filters)
    if nouns and not any(_is_about(event, noun, filters.get(noun)) for noun in nouns):
        return False
    return has_labels(event.attributes, filters.get("label"))


def _is_about(event: Event, noun: str, wanted: list[str]) -> bool:
    name = event.attributes.get("name", "")
    if event.kind == noun:
        return any(event.actor.removeprefix("sha256:").startswith(text) or _same(noun, name, text) for text in wanted)
    # docker's `image=` filter finds the events of the image's containers too
    return noun == "image" and any(_same(noun, event.attributes.get("image", ""), text) for text in wanted)


def _same(noun: str, name: str, wanted: str) -> bool:
    return name == wanted or (noun == "image" and name.partition(":")[0] == wanted)


ROUTES = (Route("GET", "/events", events, lasting=True),)
