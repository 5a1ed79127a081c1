"""docker's filters applied to containers, images and volumes. Values of one key are alternatives, keys must all fit."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from ireko.api.decode.numbers import whole
from ireko.api.decode.ports import HIGHEST
from ireko.api.decode.query import Filters, moment
from ireko.api.encode.config import exposed_ports, labels
from ireko.api.encode.network import network_name
from ireko.engine.engine import Engine
from ireko.errors import InvalidInput, NotFound
from ireko.model.container import Container, Status
from ireko.model.image import Image
from ireko.model.names import Reference

CONTAINER_KEYS = {
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish", "since",
    "status", "volume",
}  # fmt: skip
IMAGE_KEYS = {"before", "dangling", "label", "reference", "since", "until"}
PRUNE_KEYS = {"label", "label!", "until"}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_EXIT_CODE = re.compile(r"-?[0-9]{1,10}")
Test = Callable[[Container], bool]


def containers(engine: Engine, filters: Filters, *, everything: bool, limit: int) -> list[Container]:
    """The containers to list, the newest first. Raises InvalidInput for filters that make no sense."""
    found = engine.containers.all()
    if filters:
        tests = _tests(engine, filters.check(CONTAINER_KEYS))
        everything = everything or bool({"status", "exited", "before", "since"} & set(filters))
        found = [each for each in found if all(test(each) for test in tests)]
    if not everything and limit <= 0:
        found = [each for each in found if each.status.has_machine or each.status is Status.RESTARTING]
    return found[:limit] if limit > 0 else found


def _tests(engine: Engine, filters: Filters) -> list[Test]:
    makers: dict[str, Callable[[Engine, list[str]], Test]] = {
        "ancestor": _ancestor,
        "before": lambda engine, refs: _created(engine, refs, earlier=True),
        "since": lambda engine, refs: _created(engine, refs, earlier=False),
        "exited": lambda _, codes: _exited(codes),
        "expose": lambda engine, ports: _ports(ports, lambda each: exposed_ports(each, _image(engine, each))),
        "publish": lambda _, ports: _ports(ports, lambda each: [mapping.key for mapping in each.published]),
        "health": lambda _, wanted: lambda each: "none" in wanted,
        "is-task": lambda _, wanted: lambda each: not {"true", "1"} & set(wanted),
        "id": lambda _, beginnings: lambda each: any(each.id.startswith(text) for text in beginnings),
        "label": lambda engine, wanted: lambda each: has_labels(labels(each, _image(engine, each)), wanted),
        "name": lambda _, wanted: _named(wanted),
        "network": lambda _, wanted: lambda each: network_name(each) in {_network(name) for name in wanted},
        "status": lambda _, wanted: _in_status(wanted),
        "volume": lambda _, wanted: lambda each: any({m.source, m.target} & set(wanted) for m in each.spec.mounts),
    }
    return [makers[key](engine, filters.get(key)) for key in filters]


def _image(engine: Engine, container: Container) -> Image | None:
    try:
        return engine.images.get(container.image)
    except NotFound:
        return None


def _ancestor(engine: Engine, names: list[str]) -> Test:
    wanted: set[str] = set()
    for name in names:
        try:
            wanted.add(engine.images.get(name).id)
        except NotFound:
            continue
    tops = {image.top for image in engine.images.all() if image.id in wanted}
    family = {image.id for image in engine.images.all() if tops & set(image.layers)}
    return lambda each: each.image in family


def _created(engine: Engine, refs: list[str], *, earlier: bool) -> Test:
    marks = [engine.containers.get(ref).created for ref in refs]
    if earlier:
        return lambda each: all(each.created < mark for mark in marks)
    return lambda each: all(each.created > mark for mark in marks)


def _exited(codes: list[str]) -> Test:
    if wrong := next((code for code in codes if not _EXIT_CODE.fullmatch(code)), None):
        raise InvalidInput(f"invalid filter 'exited={wrong}'", hint="a number")
    wanted = {int(code) for code in codes}
    return lambda each: each.started is not None and not each.status.has_machine and each.exit_code in wanted


def _in_status(wanted: list[str]) -> Test:
    try:
        statuses = {Status(name) for name in wanted}
    except ValueError as error:
        raise InvalidInput(
            f"invalid filter 'status={wanted[0]}'", hint=", ".join(each.value for each in Status)
        ) from error
    return lambda each: each.status in statuses


def _named(wanted: list[str]) -> Test:
    try:
        patterns = [re.compile(name) for name in wanted]
    except re.error as error:
        raise InvalidInput(f"invalid filter 'name={wanted[0]}': {error}") from error
    return lambda each: any(p.search(f"/{each.name}") or p.search(each.name) for p in patterns)


def _network(name: str) -> str:
    return "bridge" if name == "default" else name


def _ports(wanted: list[str], of: Callable[[Container], Iterable[str]]) -> Test:
    keys = {key for text in wanted for key in _port_range(text)}
    return lambda each: not keys.isdisjoint(of(each))


def _port_range(text: str) -> list[str]:
    numbers, _, protocol = text.partition("/")
    beginning, _, end = numbers.partition("-")
    first, last = whole(beginning, HIGHEST), whole(end or beginning, HIGHEST)
    if first is None or last is None:
        raise InvalidInput(f'invalid port "{text}" in a filter', hint="80, 80/udp or 8000-8010/tcp")
    return [f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)]


def has_labels(found: dict[str, str], wanted: Iterable[str]) -> bool:
    """Whether all of `key` and `key=value` are among the labels."""
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in found or (equals and found[key] != value):
            return False
    return True


def images(engine: Engine, filters: Filters) -> list[Image]:
    """The images to list, the newest first. Raises InvalidInput for filters that make no sense."""
    filters.check(IMAGE_KEYS)
    found = engine.images.all()
    for ref in filters.get("before"):
        mark = engine.images.get(ref).created
        found = [each for each in found if each.created < mark]
    for ref in filters.get("since"):
        mark = engine.images.get(ref).created
        found = [each for each in found if each.created > mark]
    for text in filters.get("until"):
        mark = _until(text)
        found = [each for each in found if each.created < mark]
    if "dangling" in filters:
        dangling = filters.flag("dangling", default=False)
        found = [each for each in found if bool(engine.images.references(each.id)) is not dangling]
    if patterns := filters.get("reference"):
        found = [each for each in found if _fitting(engine.images.references(each.id), patterns)]
    return [each for each in found if has_labels(each.config.labels, filters.get("label"))]


def names(engine: Engine, image: Image, filters: Filters) -> list[str]:
    """The names of an image that a list shows: those that fit its `reference` filter."""
    found = engine.images.references(image.id)
    patterns = filters.get("reference")
    return [str(each) for each in (_fitting(found, patterns) if patterns else found)]


def _fitting(references: Iterable[Reference], patterns: list[str]) -> list[Reference]:
    return [
        reference
        for reference in references
        if any(fnmatchcase(str(reference), each) or fnmatchcase(reference.repository, each) for each in patterns)
    ]


def prunable(filters: Filters, found: dict[str, str], created: datetime) -> bool:
    """Whether a thing with these labels, made at that moment, is one that a prune with these filters takes."""
    if not has_labels(found, filters.get("label")):
        return False
    if any(has_labels(found, [unwanted]) for unwanted in filters.get("label!")):
        return False
    return all(created < _until(text) for text in filters.get("until"))


def _until(text: str) -> datetime:
    """A moment, or a length of time before now as Go writes it (`1h30m`). Raises InvalidInput."""
    parts = _LENGTH.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        with contextlib.suppress(OverflowError):  # no time is so long ago
            return datetime.now(UTC) - timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    return moment("until", text)
