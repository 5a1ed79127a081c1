"""Where the daemon lives: the one thing that it and its clients must both know."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_root() -> Path:
    """The folder of everything we write.

    `$IREKO_HOME`; else `C:\\ProgramData\\ireko` on Windows, `/var/lib/ireko` for root, and the user's data directory otherwise.
    """
    if chosen := os.environ.get("IREKO_HOME"):
        return Path(chosen).absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "ireko"
    if os.geteuid() == 0:
        return Path("/var/lib/ireko")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ireko"


def default_host(root: Path) -> str:
    """The address that a daemon with this root listens on, as docker's -H writes it."""
    if sys.platform == "win32":
        return "npipe:////./pipe/ireko"
    return f"unix://{root / 'ireko.sock'}"
