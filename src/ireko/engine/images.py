"""Images: named, listed, removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ireko.engine import layers, lookup
from ireko.engine.context import Context
from ireko.engine.make import Maker
from ireko.errors import Conflict
from ireko.model.container import Container
from ireko.model.image import Image, Layer
from ireko.model.names import Reference, short
from ireko.model.recipe import Progress, RecipeSummary

_MISSING = "<missing>"


@dataclass(frozen=True)
class Removed:
    """One thing that a removal did: a name taken away, or an image (or layer) deleted."""

    untagged: str = ""
    deleted: str = ""


@dataclass(frozen=True)
class ImagesPruned:
    """What was removed, and the bytes that came free."""

    removed: tuple[Removed, ...]
    reclaimed: int


@dataclass(frozen=True)
class HistoryRow:
    """One layer of an image, and how it came to be."""

    id: str
    created: datetime
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...]


class Images:
    """The images."""

    def __init__(self, context: Context, maker: Maker) -> None:
        self._context = context
        self._maker = maker

    def get(self, ref: str) -> Image:
        """By `name[:tag]`, id, or the beginning of an id. Raises NotFound, Ambiguous, InvalidInput."""
        return lookup.image(self._context.database, ref)

    def all(self) -> list[Image]:
        """All of them, the newest first."""
        return sorted(self._context.database.images.values(), key=lambda image: image.created, reverse=True)

    def references(self, image_id: str) -> list[Reference]:
        """Its names, sorted."""
        return sorted(ref for ref, named in self._context.database.tags.items() if named == image_id)

    def layer(self, layer_id: str) -> Layer:
        """By full id."""
        return self._context.database.layers[layer_id]

    def size(self, image: Image) -> int:
        """The bytes that all its layers take."""
        known = self._context.database.layers
        return sum(known[layer].size for layer in image.layers if layer in known)

    def users(self, image_id: str) -> list[Container]:
        """The containers that were made from it."""
        return [each for each in self._context.database.containers.values() if each.image == image_id]

    def tag(self, ref: str, reference: Reference) -> None:
        """Give it one more name, taking the name away from whatever had it. Raises NotFound."""
        image = self.get(ref)
        with self._context.database.change() as change:
            change.tag(reference, image.id)
        self._context.events.publish("image", "tag", image.id, {"name": str(reference)})

    async def remove(self, ref: str, *, force: bool = False) -> list[Removed]:
        """Take a name away; with the last one the image goes, and the layers that nothing else stands on.

        Raises NotFound; Conflict when a container needs it, or an id has several names and it is not forced.
        """
        database = self._context.database
        image = self.get(ref)
        names = self.references(image.id)
        if lookup.names_an_id(database, ref, image.id):
            if len(names) > 1 and not force:
                raise Conflict(
                    f"conflict: unable to delete {short(image.id)} (must be forced) - "
                    f"image is referenced in multiple repositories: {', '.join(map(str, names))}",
                    hint="name one of them, or use -f",
                )
            going = names
        else:
            going = [Reference.parse(ref)]
        last = len(going) == len(names)
        users = self.users(image.id)
        if last and users and (not force or any(user.status.has_machine for user in users)):
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {short(users[0].id)} ({users[0].name}) is using its referenced image {short(image.id)}",
                hint=f"ireko rm {users[0].name}",
            )
        return await self._take_away(image, going, delete=last and not users)

    def history(self, ref: str) -> list[HistoryRow]:
        """How its layers came to be, the newest first. Raises NotFound."""
        image = self.get(ref)
        made = [image, *self._ancestors(image)]
        steps = list(reversed(image.history))
        known: list[Image | None] = [*made, *([None] * len(steps))]
        sizes = self._sizes(image)
        return [
            HistoryRow(
                id=each.id if each is not None else _MISSING,
                created=step.created,
                created_by=step.created_by,
                comment=step.comment,
                size=size,
                tags=() if each is None else tuple(str(name) for name in self.references(each.id)),
            )
            for step, each, size in zip(steps, known, sizes, strict=False)
        ]

    def _sizes(self, image: Image) -> list[int]:
        """What the layer of each step takes now, the newest first; what it took then where steps and layers are not the same."""
        found = self._context.database.layers
        if len(image.history) == len(image.layers) and all(each in found for each in image.layers):
            return [found[each].size for each in reversed(image.layers)]
        return [step.size for step in reversed(image.history)]

    def recipes(self) -> list[RecipeSummary]:
        """The built-in recipes."""
        return self._maker.summaries()

    def recipe_for(self, reference: Reference) -> str | None:
        """The built-in recipe that makes an image of this name."""
        return next((each.name for each in self._maker.summaries() if reference in each.references), None)

    async def make(
        self, recipe: str, *, progress: Progress, source: str | None = None, reference: Reference | None = None
    ) -> Image:
        """See Maker.make."""
        return await self._maker.make(recipe, source=source, reference=reference, progress=progress)

    async def prune(self, *, dangling_only: bool = True) -> ImagesPruned:
        """Remove the images that no container uses; only those without a name unless told otherwise."""
        removed: list[Removed] = []
        before = sum(layer.size for layer in self._context.database.layers.values())
        for image in self.all():
            names = self.references(image.id)
            if image.id not in self._context.database.images or self.users(image.id) or (dangling_only and names):
                continue
            removed += await self._take_away(image, names, delete=True)
        after = sum(layer.size for layer in self._context.database.layers.values())
        return ImagesPruned(tuple(removed), before - after)

    def _ancestors(self, image: Image) -> list[Image]:
        found = []
        parent = image.parent
        while parent is not None and (ancestor := self._context.database.images.get(parent)) is not None:
            found.append(ancestor)
            parent = ancestor.parent
        return found

    async def _take_away(self, image: Image, names: list[Reference], *, delete: bool) -> list[Removed]:
        gone = layers.unused(self._context, without=image.id) if delete else []
        with self._context.database.change() as change:
            for name in names:
                change.untag(name)
            if delete:
                change.delete_image(image.id)
            layers.forget(change, gone)
        await self._context.discard(*layers.folders(self._context, gone))
        removed = [Removed(untagged=str(name)) for name in names]
        for name in names:
            self._context.events.publish("image", "untag", image.id, {"name": str(name)})
        if delete:
            self._context.events.publish("image", "delete", image.id, {"name": image.id})
            removed.append(Removed(deleted=image.id))
        return removed
