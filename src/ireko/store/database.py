"""The database: images, tags, layers, containers, volumes, and operations in progress.

One daemon owns it, so what is read once stays in memory: reads are dictionary look-ups, and a change is one transaction that
is on the disk (WAL, synchronous=FULL) before the memory follows it. A record that can't be read is kept aside in `broken`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from ireko.errors import AlreadyThere, Damaged, NoSpace, Unavailable
from ireko.model.container import Container
from ireko.model.image import Image, Layer
from ireko.model.names import Reference
from ireko.model.volume import Volume

_log = logging.getLogger(__name__)
Record = TypeVar("Record")

# Each entry brings the schema from the version that is its index to the next; none is ever changed once released.
_MIGRATIONS = (
    """
    CREATE TABLE layers (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE tags (repository TEXT NOT NULL, tag TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id),
        PRIMARY KEY (repository, tag)) WITHOUT ROWID;
    CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE operations (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    """,
    "CREATE TABLE room (filler BLOB NOT NULL);",
)
_ROOM = 256 * 1024
"""Bytes that stay free in the files for changes on a full disk: removing something is a change, too."""
_CHECKPOINT = 64
"""Pages after which the log is begun anew, in place: it never grows above the room."""


_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}


@dataclass(frozen=True)
class Operation:
    """A step-by-step change that a crash can cut off: what reconciling needs to finish or undo it.

    `kind` "commit": `layer` is the one in the making. "remove": with `volumes` those without a name go too.
    "restart": it is to be stopped and started. "half-made": `path` is a folder that is to go.
    "exchange": `layer` gets another file that holds the same, whose identity is `identity`.
    """

    id: str
    kind: str
    container: str
    layer: str = ""
    volumes: bool = False
    path: str = ""
    identity: str = ""


@dataclass(frozen=True)
class Broken:
    """A record that could not be read."""

    table: str
    key: str
    reason: str


@dataclass
class _Tables:
    layers: dict[str, Layer] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    tags: dict[Reference, str] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)


class Change:
    """One transaction in the making; used through `Database.change`."""

    def __init__(self, connection: sqlite3.Connection, tables: _Tables) -> None:
        self._connection = connection
        self._tables = tables
        self._after: list[Callable[[], object]] = []

    def put_layer(self, layer: Layer) -> None:
        """Add or replace."""
        self._put("layers", "id", layer.id, layer, self._tables.layers)

    def put_image(self, image: Image) -> None:
        """Add or replace."""
        self._put("images", "id", image.id, image, self._tables.images)

    def put_volume(self, volume: Volume) -> None:
        """Add or replace."""
        self._put("volumes", "name", volume.name, volume, self._tables.volumes)

    def put_operation(self, operation: Operation) -> None:
        """Note what is about to be done."""
        self._put("operations", "id", operation.id, operation, self._tables.operations)

    def put_container(self, container: Container) -> None:
        """Add or replace; the name is unique."""
        self._connection.execute(
            "INSERT INTO containers (id, name, record) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
            (container.id, container.name, msgspec.json.encode(container)),
        )
        self._after.append(lambda: self._tables.containers.__setitem__(container.id, container))

    def tag(self, reference: Reference, image: str) -> None:
        """Let the reference name this image."""
        self._connection.execute(
            "INSERT OR REPLACE INTO tags (repository, tag, image) VALUES (?, ?, ?)",
            (reference.repository, reference.tag, image),
        )
        self._after.append(lambda: self._tables.tags.__setitem__(reference, image))

    def untag(self, reference: Reference) -> None:
        """Forget the reference."""
        self._connection.execute(
            "DELETE FROM tags WHERE repository = ? AND tag = ?", (reference.repository, reference.tag)
        )
        self._after.append(lambda: self._tables.tags.pop(reference, None))

    def delete_layer(self, layer: str) -> None:
        """Forget it."""
        self._delete("layers", "id", layer, self._tables.layers)

    def delete_image(self, image: str) -> None:
        """Forget it."""
        self._delete("images", "id", image, self._tables.images)

    def delete_container(self, container: str) -> None:
        """Forget it."""
        self._delete("containers", "id", container, self._tables.containers)

    def delete_volume(self, volume: str) -> None:
        """Forget it."""
        self._delete("volumes", "name", volume, self._tables.volumes)

    def delete_operation(self, operation: str) -> None:
        """It is finished or undone."""
        self._delete("operations", "id", operation, self._tables.operations)

    def _put(self, table: str, key_column: str, key: str, record: Record, memory: dict[str, Record]) -> None:
        self._connection.execute(
            f"INSERT OR REPLACE INTO {table} ({key_column}, record) VALUES (?, ?)",  # noqa: S608 - our own words
            (key, msgspec.json.encode(record)),
        )
        self._after.append(lambda: memory.__setitem__(key, record))

    def _delete(self, table: str, key_column: str, key: str, memory: dict[str, Any]) -> None:
        self._connection.execute(f"DELETE FROM {table} WHERE {key_column} = ?", (key,))  # noqa: S608
        self._after.append(lambda: memory.pop(key, None))

    def _follow(self) -> None:
        for step in self._after:
            step()


class Database:
    """The one owner of `ireko.db`."""

    def __init__(self, path: Path, *, step: Callable[[str], None] = lambda name: None) -> None:
        """`step` is called before and after each change is on the disk; what it raises stops there. Raises Damaged."""
        self._path = path
        self._step = step
        self._tables = _Tables()
        self.broken: list[Broken] = []
        # SQLite gives the files beside it the mode that this one has.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            self._load()
            self._keep_room()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise Damaged(
                f'the database "{path}" can\'t be read: {error}', hint="restore it from a backup of its folder"
            ) from error
        except BaseException:
            self._connection.close()
            raise

    @property
    def layers(self) -> Mapping[str, Layer]:
        """By id."""
        return MappingProxyType(self._tables.layers)

    @property
    def images(self) -> Mapping[str, Image]:
        """By id."""
        return MappingProxyType(self._tables.images)

    @property
    def tags(self) -> Mapping[Reference, str]:
        """Image ids by reference."""
        return MappingProxyType(self._tables.tags)

    @property
    def containers(self) -> Mapping[str, Container]:
        """By id."""
        return MappingProxyType(self._tables.containers)

    @property
    def volumes(self) -> Mapping[str, Volume]:
        """By name."""
        return MappingProxyType(self._tables.volumes)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By id."""
        return MappingProxyType(self._tables.operations)

    def broken_keys(self, table: str) -> set[str]:
        """The keys of the records of a table that could not be read: what they stand for is there all the same."""
        return {each.key for each in self.broken if each.table == table}

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """All of what is done inside, or nothing of it.

        Raises NoSpace when the disk is full, AlreadyThere when a container's name is taken by a record that can't be read,
        Unavailable when the file can't be written.
        """
        change = Change(self._connection, self._tables)
        self._step("change the database")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield change
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._meaning(error) from error
        except BaseException:
            self._roll_back()
            raise
        self._step("the database is changed")
        change._follow()

    def remember(self, container: Container) -> None:
        """Replace a container's record in memory alone: the disk keeps the older one until it is changed again."""
        self._tables.containers[container.id] = container

    def remember_layer(self, layer: Layer) -> None:
        """As `remember`, for a layer."""
        self._tables.layers[layer.id] = layer

    def forget(self, operation: Operation) -> None:
        """Forget an operation in memory alone."""
        self._tables.operations.pop(operation.id, None)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _meaning(self, error: sqlite3.Error) -> NoSpace | AlreadyThere | Unavailable:
        if isinstance(error, sqlite3.IntegrityError):
            return AlreadyThere(f"the name is taken by a record that can't be read: {error}", hint="ireko doctor")
        if getattr(error, "sqlite_errorcode", None) in _FULL:
            return NoSpace(
                f'the disk of "{self._path}" is full', hint="free some space, then try again: nothing was changed"
            )
        return Unavailable(f'the database "{self._path}" can\'t be written: {error}', hint="ireko doctor")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise Damaged(
                f'the database "{self._path}" has schema {version}; this ireko knows up to {len(_MIGRATIONS)}',
                hint="use the newer ireko that wrote it",
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")

    def _keep_room(self) -> None:
        """Both files keep the room that something large took, and reuse it. A disk that is full already has to do without."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._connection.execute("INSERT INTO room VALUES (zeroblob(?))", (_ROOM,))
            self._connection.execute("DELETE FROM room")

    def _load(self) -> None:
        tables = self._tables
        self._read("layers", "id", Layer, tables.layers)
        self._read("images", "id", Image, tables.images)
        self._read("containers", "id", Container, tables.containers)
        self._read("volumes", "name", Volume, tables.volumes)
        self._read("operations", "id", Operation, tables.operations)
        rows = self._connection.execute("SELECT repository, tag, image FROM tags")
        tables.tags.update({Reference(repository, tag): image for repository, tag, image in rows})

    def _read(self, table: str, key_column: str, kind: type[Record], memory: dict[str, Record]) -> None:
        decoder = msgspec.json.Decoder(kind)
        for key, record in self._connection.execute(f"SELECT {key_column}, record FROM {table}"):  # noqa: S608
            try:
                memory[key] = decoder.decode(record)
            except msgspec.DecodeError as error:
                _log.warning("record %s of %s can't be read: %s", key, table, error)
                self.broken.append(Broken(table, key, str(error)))
