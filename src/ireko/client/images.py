"""Images and volumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ireko.client.client import Json, Wire, filters


class Images:
    """An image is named by `repository[:tag]`, its id or an unambiguous beginning of the id."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def all(self, *, intermediate: bool = False, where: Sequence[str] = (), shared_size: bool = False) -> list[Json]:
        """Summaries, the newest first; `shared_size` has them tell what other images have too, and their containers."""
        query = {"all": intermediate, "filters": filters(where), "shared-size": shared_size}
        return list(self._wire.fetch("GET", "/images/json", query=query))

    def inspect(self, ref: str) -> Json:
        """Everything about one image."""
        found: Json = self._wire.fetch("GET", f"/images/{ref}/json")
        return found

    def history(self, ref: str) -> list[Json]:
        """Its layers, the newest first."""
        return list(self._wire.fetch("GET", f"/images/{ref}/history"))

    def tag(self, ref: str, *, repository: str, tag: str) -> None:
        """Give it one more name."""
        self._wire.fetch("POST", f"/images/{ref}/tag", query={"repo": repository, "tag": tag})

    def remove(self, ref: str, *, force: bool = False) -> list[Json]:
        """Take a name away, and the image with the last one: [{"Untagged"} or {"Deleted"}]."""
        return self._wire.fetch("DELETE", f"/images/{ref}", query={"force": force}) or []

    def pull(self, repository: str, tag: str) -> Iterator[Json]:
        """Get an image that is not here; lines of progress as docker's pull streams them."""
        return self._wire.lines("POST", "/images/create", query={"fromImage": repository, "tag": tag})

    def make(self, recipe: str, *, tag: str = "", source: str = "") -> Iterator[Json]:
        """Make an image with a recipe: a built-in one by name, or `source`, a recipe's own text. Lines of progress."""
        query = {"recipe": recipe, "tag": tag}
        return self._wire.lines("POST", "/ireko/images/make", query=query, body=source.encode() if source else None)

    def import_disk(self, path: str, *, name: str = "", **settings: object) -> Iterator[Json]:
        """Make an image of a disk file, by its absolute path on the daemon's machine. Lines of progress.

        `settings` are those of the API: Format, Within, Link, Generation, Hardware, Cpus, Memory, Like.
        """
        return self._wire.lines("POST", "/ireko/images/import", body={"Path": path, "Name": name, **settings})

    def adopt(self, machine: str, *, name: str = "", within: Sequence[str] = (), link: bool = False) -> Iterator[Json]:
        """Make an image of a machine, by its name or an absolute path. Lines of progress."""
        body = {"Machine": machine, "Name": name, "Within": list(within), "Link": link}
        return self._wire.lines("POST", "/ireko/adopt", body=body)

    def flatten(self, ref: str, *, tag: str = "") -> Iterator[Json]:
        """Make one layer of its layers. Lines of progress."""
        return self._wire.lines("POST", f"/ireko/images/{ref}/flatten", query={"tag": tag})

    def rebase(self, ref: str, onto: str, *, tag: str = "") -> Iterator[Json]:
        """Put it on top of another image. Lines of progress."""
        return self._wire.lines("POST", f"/ireko/images/{ref}/rebase", query={"onto": onto, "tag": tag})

    def export(
        self, ref: str, path: str, *, format_name: str = "", tree: bool = False, force: bool = False
    ) -> Iterator[Json]:
        """Write it to a file, by an absolute path on the daemon's machine. Lines of progress."""
        body = {"Path": path, "Format": format_name, "Tree": tree, "Force": force}
        return self._wire.lines("POST", f"/ireko/images/{ref}/export", body=body)

    def archive(self, ref: str, *, format_name: str = "") -> Iterator[bytes]:
        """An archive with all that makes it, piece by piece; `format_name` is that of its layers, "" the daemon's own."""
        return self._wire.send("GET", f"/images/{ref}/get", query={"format": format_name}).pieces()

    def load(self, pieces: Iterable[bytes], *, tag: str = "") -> Iterator[Json]:
        """Take the images of an archive in; `tag` names the one that is in it. Lines of progress."""
        return self._wire.lines("POST", "/images/load", query={"tag": tag}, body=pieces)

    def recipes(self) -> list[Json]:
        """The built-in recipes: [{"Name", "Description", "References"}]."""
        return list(self._wire.fetch("GET", "/ireko/recipes"))

    def prune(self, *, dangling: bool = True, where: Sequence[str] = ()) -> Json:
        """Delete what nothing uses: {"ImagesDeleted", "SpaceReclaimed"}; `dangling` spares images that have a name."""
        pairs = [*where, f"dangling={'true' if dangling else 'false'}"]
        gone: Json = self._wire.fetch("POST", "/images/prune", query={"filters": filters(pairs)})
        return gone


class Volumes:
    """Data disks that outlive containers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def all(self, *, where: Sequence[str] = ()) -> list[Json]:
        """Every volume."""
        return list(self._wire.fetch("GET", "/volumes", query={"filters": filters(where)})["Volumes"] or [])

    def create(
        self, name: str = "", *, driver: str = "local", options: Json | None = None, labels: Json | None = None
    ) -> Json:
        """Make one; without a name it gets one."""
        body = {"Name": name, "Driver": driver, "DriverOpts": options or {}, "Labels": labels or {}}
        made: Json = self._wire.fetch("POST", "/volumes/create", body=body)
        return made

    def inspect(self, name: str) -> Json:
        """Everything about one volume."""
        found: Json = self._wire.fetch("GET", f"/volumes/{name}")
        return found

    def remove(self, name: str, *, force: bool = False) -> None:
        """Delete it and its data."""
        self._wire.fetch("DELETE", f"/volumes/{name}", query={"force": force})

    def prune(self, *, named: bool = False, where: Sequence[str] = ()) -> Json:
        """Delete the ones no container uses: {"VolumesDeleted", "SpaceReclaimed"}; `named` takes named ones too."""
        pairs = [*where, "all=true"] if named else list(where)
        gone: Json = self._wire.fetch("POST", "/volumes/prune", query={"filters": filters(pairs)})
        return gone
