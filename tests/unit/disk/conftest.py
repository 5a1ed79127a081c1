"""Disks that others made, and the programs that others read disks with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .corpus import unpack


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the disks that Windows made, unpacked; $IREKO_CORPUS says where they are packed."""
    packed = os.environ.get("IREKO_CORPUS")
    if not packed or not Path(packed).is_dir():
        pytest.skip("IREKO_CORPUS names no folder with disks that Windows made")
    folder = tmp_path_factory.mktemp("corpus")
    unpack(Path(packed), folder)
    return folder


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{names[0]} is not installed")


@pytest.fixture(scope="session")
def qemu_img() -> str:
    return _program("qemu-img")


@pytest.fixture(scope="session")
def seven_zip() -> str:
    return _program("7z", "7zz")


@pytest.fixture(scope="session")
def read_by_libvhdi() -> Callable[[list[Path]], bytes]:
    """Reads what a chain of VHD or VHDX files shows; its first path is the leaf."""
    pyvhdi = pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")

    def read(paths: list[Path]) -> bytes:
        files = []
        for path in reversed(paths):
            file = pyvhdi.file()
            file.open(str(path))
            if files:
                file.set_parent(files[-1])
            files.append(file)
        content: bytes = files[-1].read_buffer_at_offset(files[-1].get_media_size(), 0)
        for file in reversed(files):
            file.close()
        return content

    return read
