"""What every driver promises of its disks."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from ireko.drivers.base import Driver
from ireko.drivers.fake import FakeDriver, FakeHost
from ireko.errors import AlreadyThere, Damaged
from ireko.model.image import GIB

CAPACITY = 3 * GIB


@pytest.fixture(params=["fake", "qemu"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    if request.param == "fake":
        return FakeDriver(FakeHost())
    from ireko.drivers.qemu import QemuDriver

    return QemuDriver(tmp_path / "state")


@pytest.fixture
def base(driver: Driver, tmp_path: Path) -> Path:
    path = tmp_path / "layers" / "base" / f"disk.{driver.abilities.disk_format}"
    path.parent.mkdir(parents=True)
    driver.disks.create(path, parent=None, capacity=CAPACITY)
    return path


@pytest.fixture
def child(driver: Driver, base: Path, tmp_path: Path) -> Path:
    path = tmp_path / "containers" / "one" / base.name
    path.parent.mkdir(parents=True)
    driver.disks.create(path, parent=base, capacity=CAPACITY)
    return path


def test_a_disk_has_the_capacity_it_was_made_with(driver: Driver, base: Path, child: Path) -> None:
    assert driver.disks.capacity(base) == CAPACITY
    assert driver.disks.capacity(child) == CAPACITY


def test_a_fresh_disk_is_untouched_and_takes_little_room(driver: Driver, child: Path) -> None:
    assert driver.disks.untouched(child)
    assert child.stat().st_size <= 256 * 1024


def test_a_disk_is_private(child: Path) -> None:
    assert child.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_making_a_child_does_not_touch_the_parent(driver: Driver, base: Path) -> None:
    base.chmod(0o400)
    before = base.read_bytes(), base.stat().st_mtime_ns, driver.disks.identify(base)
    driver.disks.create(base.with_name(f"other{base.suffix}"), parent=base, capacity=CAPACITY)
    assert (base.read_bytes(), base.stat().st_mtime_ns, driver.disks.identify(base)) == before


def test_an_existing_file_is_left_alone(driver: Driver, child: Path, base: Path) -> None:
    before = child.read_bytes()
    with pytest.raises(AlreadyThere, match=child.name):
        driver.disks.create(child, parent=base, capacity=CAPACITY)
    assert child.read_bytes() == before


def test_a_parent_need_not_exist_yet(driver: Driver, child: Path, tmp_path: Path) -> None:
    place = tmp_path / "layers" / "later" / child.name
    fresh = child.with_name(f"next{child.suffix}")
    driver.disks.create(fresh, parent=place, capacity=CAPACITY)
    place.parent.mkdir()
    child.rename(place)
    assert driver.disks.capacity(fresh) == CAPACITY
    assert driver.disks.untouched(fresh)


def test_a_disk_is_told_again_after_it_moved(driver: Driver, child: Path, tmp_path: Path) -> None:
    before = driver.disks.identify(child)
    assert driver.disks.identify(child) == before
    child.chmod(0o400)
    moved = child.rename(child.with_name(f"moved{child.suffix}"))
    copied = tmp_path / f"copy{child.suffix}"
    shutil.copy2(moved, copied)
    assert driver.disks.identify(moved) == before
    assert driver.disks.identify(copied) == before


def test_a_disk_that_was_written_to_is_another_one(driver: Driver, base: Path, child: Path) -> None:
    before = driver.disks.identify(child)
    data = bytearray(child.read_bytes())
    data[-1] ^= 1
    child.write_bytes(data + b"\n")
    with contextlib.suppress(Damaged):  # it may be no disk any more
        assert driver.disks.identify(child) != before
    assert driver.disks.identify(base) != before


@pytest.mark.parametrize("content", [None, b"", b"no disk at all\n" * 100], ids=["missing", "empty", "text"])
def test_what_is_no_disk_is_named(driver: Driver, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / f"broken.{driver.abilities.disk_format}"
    if content is not None:
        path.write_bytes(content)
    for ask in (driver.disks.identify, driver.disks.capacity):
        with pytest.raises(Damaged, match=r"broken\."):
            ask(path)
