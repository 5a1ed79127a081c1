"""What several kinds of tests need: guests to boot."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from ireko.errors import IrekoError

IN_CI = os.environ.get("CI", "").lower() == "true"


@dataclass(frozen=True)
class GuestImage:
    """A base disk and what boots it. It is shared by every test: nobody writes to it."""

    disk: Path
    format: str
    kernel: Path
    initrd: Path
    append: str


def give_up(reason: str) -> NoReturn:
    """Skip the test with a reason; where nothing may be skipped that can be had, fail it."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine can't offer and nobody can install."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs to be root"))


@pytest.fixture(scope="session")
def docker_client() -> str:
    """The docker client's path."""
    found = shutil.which("docker")
    if found is None:
        give_up("there is no docker client on PATH: ./test fetches one")
    return found


@pytest.fixture(scope="session")
def test_cache() -> Path:
    """A folder that outlives the tests: what takes minutes to make is kept here."""
    chosen = os.environ.get("IREKO_TEST_CACHE")
    folder = Path(chosen) if chosen else Path.home() / ".cache" / "ireko-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def nano_image(test_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> GuestImage:
    """The guest that is up in seconds, made by its recipe; the second time from the cache."""
    if shutil.which("qemu-system-x86_64") is None:
        give_up("QEMU is not installed: sudo apt-get install qemu-system-x86 qemu-utils")
    try:
        return asyncio.run(_build("nano", test_cache, tmp_path_factory.mktemp("nano")))
    except IrekoError as error:
        give_up(f"the nano image can't be made: {error} ({error.hint})\n{error.details}")


async def _build(name: str, cache: Path, workdir: Path) -> GuestImage:
    from ireko.recipes import build, load_recipe

    built = await build(load_recipe(name), workdir=workdir, cache=cache, progress=lambda *_: None)
    return GuestImage(built.disk, "qcow2", built.kernel, built.initrd, built.append)
