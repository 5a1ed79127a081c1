"""`images`, `tag`, `rmi`, `history`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click

from ireko.cli import complete
from ireko.cli.group import verb
from ireko.cli.render import Fields, Item, short_id, write_list
from ireko.cli.session import Session, pass_session
from ireko.cli.text import ellipsis
from ireko.cli.units import human_size, local_time, since
from ireko.model.names import Reference

_SIZES = ("UniqueSize", "SharedSize", "Size")
_TABLE = ("Repository", "Tag", "ID", "CreatedSince", *_SIZES)
_TABLE_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", *_SIZES)
_HISTORY = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
_CREATED_BY_WIDTH = 45
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC).timestamp()

_FORMAT = click.option("--format", "written", default="", metavar="FORMAT", help="table, json or a template.")
_FULL = click.option("--no-trunc", "full", is_flag=True, help="Shorten nothing.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show ids alone.")


@verb("images", example="ireko images --filter dangling=true -q")
@click.option("-a", "--all", "intermediate", is_flag=True, help="Show images that only carry others too.")
@click.option("--digests", is_flag=True, help="Show digests.")
@click.option("-f", "--filter", "where", multiple=True, metavar="KEY=VALUE", help="Show what fits.")
@_FORMAT
@_FULL
@_QUIET
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@pass_session
def images(
    session: Session, *, intermediate: bool, digests: bool, where: tuple[str, ...], written: str, full: bool, quiet: bool,
    reference: str | None,
) -> None:  # fmt: skip
    """List images.

    OWN is what an image takes that no other has too, SHARED what others have as well, SIZE both together.
    """
    pairs = [*where, f"reference={reference}"] if reference else where
    found = session.client.images.all(intermediate=intermediate, where=pairs, shared_size=not quiet)
    fields = image_fields(session.now(), full=full)
    write_list(
        session.out,
        fields if written else with_sizes(fields),
        (row for image in found for row in named(image)),
        written=written,
        default=_TABLE_DIGESTS if digests else _TABLE,
        quiet="ID" if quiet else "",
    )


def named(image: Item) -> Iterator[Item]:
    """One row for each name of an image, and one for an image without a name."""
    names = [name for name in image.get("RepoTags") or [] if name != "<none>:<none>"]
    for name in names:
        repository, _, tag = name.rpartition(":")
        yield {**image, "repository": repository, "tag": tag}
    if not names:
        yield {**image, "repository": "<none>", "tag": "<none>"}


def image_fields(now: datetime, *, full: bool) -> Fields:
    """What a row about an image has."""
    return {
        "ID": ("IMAGE ID", lambda item: short_id(item["Id"], full=full)),
        "Repository": ("REPOSITORY", lambda item: item["repository"]),
        "Tag": ("TAG", lambda item: item["tag"]),
        "Digest": ("DIGEST", _digest),
        "CreatedSince": ("CREATED", lambda item: since(item["Created"], now)),
        "CreatedAt": ("CREATED AT", lambda item: local_time(item["Created"])),
        "Size": ("SIZE", lambda item: human_size(item["Size"], digits=3)),
        "Containers": ("CONTAINERS", lambda item: _known(item.get("Containers", -1), str)),
        "SharedSize": ("SHARED SIZE", lambda item: _known(item.get("SharedSize", -1), human_size)),
        "UniqueSize": ("UNIQUE SIZE", _unique_size),
        "VirtualSize": ("VIRTUAL SIZE", lambda item: human_size(item["Size"])),
    }


def with_sizes(fields: Fields) -> Fields:
    """The same for a table that shows all sizes side by side: in short words, and to the same precision."""
    return {
        **fields,
        "SharedSize": ("SHARED", lambda item: _known(item.get("SharedSize", -1), _short_size)),
        "UniqueSize": ("OWN", lambda item: _unique_size(item, _short_size)),
    }


def _short_size(size: int) -> str:
    return human_size(size, digits=3)


def _digest(item: Item) -> str:
    for digest in item.get("RepoDigests") or []:
        repository, _, value = digest.partition("@")
        if repository == item["repository"]:
            return str(value)
    return "<none>"


def _known(value: int, show: Callable[[int], str]) -> str:
    return "N/A" if value == -1 else show(value)


def _unique_size(item: Item, show: Callable[[int], str] = human_size) -> str:
    shared = item.get("SharedSize", -1)
    return "N/A" if shared == -1 else show(item["Size"] - shared)


@verb("tag", example="ireko tag web:1 web:stable")
@click.argument("source", metavar="IMAGE", shell_complete=complete.images)
@click.argument("target", metavar="REPOSITORY[:TAG]")
@pass_session
def tag(session: Session, *, source: str, target: str) -> None:
    """Give an image one more name."""
    reference = Reference.parse(target)
    session.client.images.tag(source, repository=reference.repository, tag=reference.tag)


@verb("rmi")
@click.option("-f", "--force", is_flag=True, help="Remove the image although it has more names.")
@click.option("--no-prune", is_flag=True, hidden=True)
@click.argument("images", nargs=-1, shell_complete=complete.images, required=True, metavar="IMAGE...")
@pass_session
def rmi(session: Session, *, force: bool, no_prune: bool, images: tuple[str, ...]) -> int:
    """Remove images.

    A name is taken away first; the image goes with its last name, and its layers with the last image that has them.
    """
    del no_prune
    client = session.client

    def remove(ref: str) -> None:
        for gone in client.images.remove(ref, force=force):
            session.line(f"Deleted: {gone['Deleted']}" if gone.get("Deleted") else f"Untagged: {gone['Untagged']}")

    # One after another, because one name may be the last of an image that another one stands on.
    return max(session.each([image], remove, show=False) for image in images)


@verb("history")
@_FORMAT
@click.option("-H", "--human/--no-human", default=True, help="Show sizes and dates for people.")
@_FULL
@_QUIET
@click.argument("image", shell_complete=complete.images)
@pass_session
def history(session: Session, *, written: str, human: bool, full: bool, quiet: bool, image: str) -> None:
    """Show the layers of an image."""
    now = session.now()
    fields: Fields = {
        "ID": ("IMAGE", lambda item: short_id(item["Id"], full=full)),
        "CreatedSince": ("CREATED", lambda item: _created(item, now, human=human)),
        "CreatedAt": ("CREATED AT", _created_at),
        "CreatedBy": ("CREATED BY", lambda item: _created_by(item, full=full)),
        "Size": ("SIZE", lambda item: human_size(item["Size"], digits=3) if human else str(item["Size"])),
        "Comment": ("COMMENT", lambda item: item.get("Comment", "")),
    }
    layers = session.client.images.history(image)
    default = _HISTORY if human else ("ID", "CreatedAt", *_HISTORY[2:])
    write_list(session.out, fields, layers, written=written, default=default, quiet="ID" if quiet else "")


def _created(item: Item, now: datetime, *, human: bool) -> str:
    if not human:
        return _created_at(item)
    return since(item["Created"], now) if item["Created"] > _EPOCH else "N/A"


def _created_at(item: Item) -> str:
    return (
        datetime.fromtimestamp(item["Created"], UTC).astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _created_by(item: Item, *, full: bool) -> str:
    text = item.get("CreatedBy", "").replace("\t", " ")
    return str(text if full else ellipsis(text, _CREATED_BY_WIDTH))
