"""Recipes that are followed at the same time, with a stand-in for apt on PATH that is as strict as the real one."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ireko.errors import NotFound
from ireko.recipes import Book

APT_GET = """#!/bin/sh
mkdir "{lock}" || exit 100
sleep 0.1
rmdir "{lock}"
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="apt runs on Linux")


async def test_one_fetches_the_lists_and_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"apt-get": APT_GET.format(lock=tmp_path / "lock"), "apt-cache": "#!/bin/sh\n"}
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    book = Book()

    async def follow() -> None:
        with pytest.raises(NotFound, match="depends on nothing"):  # what comes after the lists
            await book.build("nano", None, workdir=tmp_path, cache=tmp_path / "cache", progress=lambda *_: None)

    await asyncio.gather(*(follow() for _ in range(3)))
