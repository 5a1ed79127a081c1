"""The small root file system has the modes that programs of any user need, whoever builds it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ireko.recipes.tree import write_tree


async def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_text("#!/bin/sh\necho busybox\necho sh\necho ls\n")
    busybox.chmod(0o755)
    before = os.umask(0o077)
    try:
        await write_tree(tmp_path / "tree", busybox)
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path / "tree").as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "tree", *(tmp_path / "tree").rglob("*"))
    }
    wanted = {".": 0o755, "bin": 0o755, "root": 0o700, "tmp": 0o1777, "etc/passwd": 0o644, "bin/sh": 0o755}
    assert {name: modes[name] for name in wanted} == wanted
