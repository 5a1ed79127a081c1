"""Disk files of somebody else's that layers stand on: read, never written, and held to what they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ireko.disk.errors import told
from ireko.disk.files import DiskFile
from ireko.disk.use import refuse_use
from ireko.errors import Conflict, Damaged, IrekoError
from ireko.model.image import LinkedFile

_HEAD = 64 << 10
_DIGEST_LENGTH = 32


def identify(path: Path) -> str:
    """What tells that a file was changed, without reading it: its beginning, its length, the time of its last write.

    Raises Damaged when it can't be read.
    """
    try:
        with DiskFile(path) as file, told(path):  # which waits for no named pipe
            digest, status = hashlib.sha256(file.read(0, _HEAD)), os.fstat(file.descriptor)
    except IrekoError as error:
        raise Damaged(error.message) from error
    digest.update(f"|{status.st_size}|{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def as_they_are(files: Iterable[LinkedFile]) -> tuple[LinkedFile, ...]:
    """The files with what identifies them now. Raises Damaged when one can't be read, Conflict when a machine writes to it."""
    found = tuple(replace(each, identity=identify(Path(each.path))) for each in files)
    for each in found:
        refuse_use(Path(each.path))
    return found


def check(linked: LinkedFile, noun: str) -> None:
    """Raises Damaged when a file is not what it was when it was linked, Conflict when a machine writes to it."""
    path = Path(linked.path)
    try:
        found = identify(path)
    except Damaged as error:
        hint = f'put "{path}" back where it was'
        raise Damaged(f"{noun} can't be used: {error.message}", hint=hint) from error
    if found != linked.identity:
        raise Damaged(
            f'{noun} stands on "{path}", which was changed since it was linked: its identity is "{found}", it was '
            f'"{linked.identity}"',
            hint="import the disk or adopt the machine anew, by copy if it is to go on changing",
        )
    try:
        refuse_use(path)
    except Conflict as error:
        raise Conflict(f"{noun} can't be used now: {error.message}", hint=error.hint) from error
