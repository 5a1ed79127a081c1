"""From what a user wrote to the object that is meant."""

from __future__ import annotations

from collections.abc import Iterable

from ireko.errors import Ambiguous, Damaged, InvalidInput, NotFound
from ireko.model.container import Container
from ireko.model.image import Image, Layer
from ireko.model.names import Reference, looks_like_id, short
from ireko.store.database import Database


def container(database: Database, written: str) -> Container:
    """By name, id, or the beginning of an id. Raises NotFound, Ambiguous."""
    if found := database.containers.get(written):
        return found
    name = written.removeprefix("/")
    for candidate in database.containers.values():
        if candidate.name == name:
            return candidate
    found_id = _by_beginning(database.containers, written, "container") if looks_like_id(written) else None
    if found_id is None:
        raise NotFound(f"No such container: {written}", hint="ireko ps -a")
    return database.containers[found_id]


def image(database: Database, written: str) -> Image:
    """By `name[:tag]`, id, or the beginning of an id. Raises NotFound, Ambiguous, InvalidInput."""
    if found := database.images.get(written):
        return found
    reference = _reference(written)
    if reference is not None and (named := database.images.get(database.tags.get(reference, ""))):
        return named
    if looks_like_id(written):
        beginning = written if written.startswith("sha256:") else f"sha256:{written}"
        if (image_id := _by_beginning(database.images, beginning, "image")) is not None:
            return database.images[image_id]
    raise NotFound(f"No such image: {reference or written}", hint="ireko images")


def image_of(database: Database, container: Container) -> Image:
    """The image that a container was made from. Raises Damaged when its record is missing or can't be read."""
    found = database.images.get(container.image)
    if found is None:
        raise Damaged(
            f'the image "{short(container.image)}" of the container "{container.name}" is missing from the database',
            hint="ireko system check",
        )
    return found


def layer(database: Database, layer_id: str) -> Layer:
    """By its full id. Raises Damaged as `image_of` does."""
    found = database.layers.get(layer_id)
    if found is None:
        raise Damaged(f'the layer "{short(layer_id)}" is missing from the database', hint="ireko system check")
    return found


def names_an_id(database: Database, written: str, image_id: str) -> bool:
    """Whether the user wrote an image's id rather than one of its names."""
    reference = _reference(written)
    return not (reference is not None and database.tags.get(reference) == image_id)


def _reference(written: str) -> Reference | None:
    try:
        return Reference.parse(written)
    except InvalidInput:
        if looks_like_id(written):
            return None
        raise


def _by_beginning(ids: Iterable[str], beginning: str, noun: str) -> str | None:
    matches = [identifier for identifier in ids if identifier.startswith(beginning)]
    if len(matches) > 1:
        raise Ambiguous(
            f'"{beginning}" is the beginning of {len(matches)} {noun} ids: {", ".join(m[:19] for m in sorted(matches)[:3])}',
            hint="write more digits",
        )
    return matches[0] if matches else None
