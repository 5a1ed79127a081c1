"""The database: whole changes, and records that can't be read."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ireko.errors import AlreadyThere, Damaged, Unavailable
from ireko.model.container import Container, ContainerSpec, Process
from ireko.model.image import Layer
from ireko.model.names import Reference
from ireko.store.database import Database, Operation

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def layer(identifier: str) -> Layer:
    return Layer(identifier, None, "fake", 1, 1, "x", NOW)


def reopened(database: Database, path: Path) -> Database:
    database.close()
    return Database(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with database.change() as change:
        change.put_layer(layer("a"))
        change.put_operation(Operation("o", "commit", "c", "a"))
    database = reopened(database, path)
    assert dict(database.layers) == {"a": layer("a")}
    assert list(database.operations) == ["o"]
    database.close()


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with pytest.raises(RuntimeError, match="half-way"), database.change() as change:
        change.put_layer(layer("a"))
        raise RuntimeError("half-way")
    assert not database.layers
    database = reopened(database, path)
    assert not database.layers
    database.close()


def test_a_broken_record_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with database.change() as change:
        change.put_layer(layer("good"))
        change.put_layer(layer("bad"))
    database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE layers SET record = ? WHERE id = 'bad'", (b"{",))
    connection.close()
    database = Database(path)
    assert list(database.layers) == ["good"]
    assert [(each.table, each.key) for each in database.broken] == [("layers", "bad")]
    database.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Damaged, match="schema 99"):
        Database(path)


def test_no_database_at_all(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    path.write_bytes(b"this is no database, however long it is " * 100)
    with pytest.raises(Damaged, match="can't be read"):
        Database(path)


def test_tags_point_at_images(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with database.change() as change:
        change.tag(Reference("web", "1"), "sha256:1")
        change.tag(Reference("web", "1"), "sha256:2")
    database = reopened(database, path)
    assert dict(database.tags) == {Reference("web", "1"): "sha256:2"}
    with database.change() as change:
        change.untag(Reference("web", "1"))
    assert not database.tags
    database.close()


def container(identifier: str, name: str) -> Container:
    return Container(
        id=identifier, name=name, image="i", parent="l", spec=ContainerSpec(image="i"), process=Process((), (), "", ""),
        cpus=1, memory=1, stop_timeout=1, created=NOW,
    )  # fmt: skip


def test_a_name_that_a_broken_record_has_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with database.change() as change:
        change.put_container(container("1", "box"))
    database.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE containers SET record = '{'")
    connection.commit()
    connection.close()
    database = Database(path)
    assert database.broken_keys("containers") == {"1"}
    assert database.broken_keys("images") == set()
    with pytest.raises(AlreadyThere, match="can't be read"), database.change() as change:
        change.put_container(container("2", "box"))
    assert not database.containers
    database.close()


def test_a_database_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "ireko.db")
    database._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable, match="can't be written"), database.change() as change:
        change.put_layer(layer("a"))
    assert not database.layers
    database.close()


def test_steps_are_around_the_moment_of_a_change(tmp_path: Path) -> None:
    steps: list[tuple[str, int]] = []
    database = Database(tmp_path / "ireko.db", step=lambda name: steps.append((name, _layers(tmp_path / "ireko.db"))))
    with database.change() as change:
        change.put_layer(layer("a"))
    assert steps == [("change the database", 0), ("the database is changed", 1)]
    database.close()


def _layers(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        (count,) = connection.execute("SELECT COUNT(*) FROM layers").fetchone()
        return int(count)
    finally:
        connection.close()


def test_what_is_only_remembered_is_not_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "ireko.db"
    database = Database(path)
    with database.change() as change:
        change.put_container(container("1", "box"))
    database.remember(container("1", "crate"))
    assert database.containers["1"].name == "crate"
    database = reopened(database, path)
    assert database.containers["1"].name == "box"
    database.close()
