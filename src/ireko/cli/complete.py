"""Names that a shell completes: asked of the daemon that runs; none is started for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from ireko.cli.session import connect
from ireko.client import Client
from ireko.errors import IrekoError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names: Callable[[Client], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _parameter: click.Parameter, beginning: str) -> list[str]:
        try:
            client = connect(ctx.find_root().params.get("host"), start=False)
            return [name for name in names(client) if name.startswith(beginning)]
        except IrekoError:
            return []

    return complete


def _containers(client: Client) -> Iterable[str]:
    for item in client.containers.all(stopped=True):
        yield from (name.removeprefix("/") for name in item["Names"])


def _images(client: Client) -> Iterable[str]:
    for item in client.images.all():
        yield from item.get("RepoTags") or []


def _volumes(client: Client) -> Iterable[str]:
    return (item["Name"] for item in client.volumes.all())


def _anything(client: Client) -> Iterable[str]:
    return {*_containers(client), *_images(client), *_volumes(client)}


containers = _completer(_containers)
images = _completer(_images)
recipes = _completer(lambda client: (item["Name"] for item in client.images.recipes()))
volumes = _completer(_volumes)
anything = _completer(lambda client: sorted(_anything(client)))


def paths(ctx: click.Context, parameter: click.Parameter, beginning: str) -> list[CompletionItem]:
    """What `cp` takes: a container with a colon behind its name, or a file of this machine."""
    from click.shell_completion import CompletionItem

    found = [CompletionItem(f"{name}:") for name in containers(ctx, parameter, beginning)]
    return found or [CompletionItem(beginning, type="file")]
