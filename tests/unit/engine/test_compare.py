"""`diff`: two listings compared."""

from __future__ import annotations

from ireko.drivers.base import FileEntry
from ireko.engine.guestfiles import Change, ChangeKind, compare

DIR, FILE = 0o040755, 0o100644


def test_added_changed_deleted() -> None:
    before = [
        FileEntry("/", DIR, 1, 1),
        FileEntry("/etc", DIR, 1, 1),
        FileEntry("/etc/same", FILE, 3, 1),
        FileEntry("/etc/edited", FILE, 3, 1),
        FileEntry("/etc/gone", FILE, 3, 1),
        FileEntry("/grown", DIR, 4096, 5),
    ]
    after = [
        FileEntry("/", DIR, 1, 2),
        FileEntry("/etc", DIR, 1, 2),
        FileEntry("/etc/same", FILE, 3, 1),
        FileEntry("/etc/edited", FILE, 4, 1),
        FileEntry("/etc/new", FILE, 0, 2),
        FileEntry("/grown", DIR, 8192, 5),
    ]
    assert compare(before, after) == [
        Change("/etc", ChangeKind.MODIFIED),
        Change("/etc/edited", ChangeKind.MODIFIED),
        Change("/etc/gone", ChangeKind.DELETED),
        Change("/etc/new", ChangeKind.ADDED),
    ]
