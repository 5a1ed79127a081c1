"""The same packages make the same image, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ireko.recipes import Book

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]


async def digests(workdir: Path, cache: Path) -> dict[str, str]:
    workdir.mkdir()
    built = await Book().build("nano", None, workdir=workdir, cache=cache, progress=lambda *_: None)
    assert built.kernel
    assert built.initrd
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (built.disk, built.kernel, built.initrd)
    }


async def test_it_is_made_the_same_again(tmp_path: Path, test_cache: Path, nano_image: object) -> None:
    first = await digests(tmp_path / "one", test_cache)
    assert await digests(tmp_path / "another", test_cache) == first
