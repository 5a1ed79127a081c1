"""What was tried on this host, remembered on disk until the host changes: trying takes a while."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

Answer = TypeVar("Answer")


class _Note(msgspec.Struct):
    host: str
    answer: msgspec.Raw


class Memory(Generic[Answer]):
    """One answer, of the type `kind`, in the file `path`."""

    def __init__(self, path: Path, kind: type[Answer]) -> None:
        self._path = path
        self._kind = kind

    async def recall(self, host: str, find: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer that was found on a host of this description; what `find` says when none was."""
        if (remembered := self._read(host)) is not None:
            return remembered
        found = await find()
        with contextlib.suppress(OSError):  # a full disk: then it is tried again the next time
            self._path.write_bytes(msgspec.json.encode(_Note(host, msgspec.Raw(msgspec.json.encode(found)))))
        return found

    def _read(self, host: str) -> Answer | None:
        try:
            note = msgspec.json.decode(self._path.read_bytes(), type=_Note)
            return msgspec.json.decode(note.answer, type=self._kind) if note.host == host else None
        except (OSError, msgspec.MsgspecError):
            return None


def boot_id() -> str:
    """What the kernel calls this boot of the host; "" where it can't be asked."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
