"""What a new layer records of its parent."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from ireko.disk.base import LayerInfo, ParentReference, PathKind, RecordedPath

_WINDOWS = sys.platform == "win32"


def reference_to(parent: LayerInfo, child: Path, *, parent_path: Path | None = None) -> ParentReference:
    """A reference for a child that will lie at `child`.

    `parent_path` is where the parent will be by then, by default where it is. The relative path comes first, so that both can be
    moved together; on Windows the absolute one follows.
    """
    target = (parent_path or parent.path).absolute()
    paths = [RecordedPath(PathKind.ABSOLUTE, str(target), windows=_WINDOWS)]
    with contextlib.suppress(ValueError):  # on another drive
        relative = _relative(target, child.absolute().parent)
        paths.insert(0, RecordedPath(PathKind.RELATIVE, relative, windows=_WINDOWS))
    identities = (parent.identity.content,) if parent.identity.content else ()
    return ParentReference(tuple(paths), identities, parent.format)


def _relative(target: Path, folder: Path) -> str:
    """The way from a folder to a file. One that goes up leads elsewhere where the folder was reached by a link."""
    relative = os.path.relpath(target, folder)
    real, there = Path(os.path.realpath(folder)), Path(os.path.realpath(target.parent))
    if Path(os.path.realpath((folder / relative).parent)) == there:
        return relative
    return os.path.relpath(there / target.name, real)


def windows_text(path: RecordedPath) -> str:
    r"""The path as Windows writes it, ".\name" for a neighbour; "" for one that means nothing there, or something else."""
    if not _is_readable(path):
        return ""
    if path.kind is not PathKind.RELATIVE:
        return path.text if path.windows else ""
    text = path.text if path.windows else path.text.replace("/", "\\")
    return text if text.startswith(".") and "\\" in text.lstrip(".")[:1] else f".\\{text}"


def _is_readable(path: RecordedPath) -> bool:
    """Whether a path is the same to Windows: it is Unicode, and a backslash in it parts names."""
    return (path.windows or "\\" not in path.text) and not any("\ud800" <= each <= "\udfff" for each in path.text)
