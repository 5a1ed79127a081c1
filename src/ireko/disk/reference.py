"""What a new layer records of its parent."""

from __future__ import annotations

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
    try:
        relative = os.path.relpath(target, child.absolute().parent)
        paths.insert(0, RecordedPath(PathKind.RELATIVE, relative, windows=_WINDOWS))
    except ValueError:  # on another drive
        pass
    identities = (parent.identity.content,) if parent.identity.content else ()
    return ParentReference(tuple(paths), identities, parent.format)


def windows_text(path: RecordedPath) -> str:
    r"""The path as Windows writes it, ".\name" for a neighbour; "" for one that means nothing there."""
    if path.windows and path.kind is not PathKind.RELATIVE:
        return path.text
    if path.kind is not PathKind.RELATIVE:
        return ""
    text = path.text if path.windows else path.text.replace("/", "\\")
    return text if text.startswith(".") and "\\" in text.lstrip(".")[:1] else f".\\{text}"
