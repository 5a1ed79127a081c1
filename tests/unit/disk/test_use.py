"""A disk that a machine writes to is not replaced under its hands."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ireko.disk.base import NewLayer, Progress
from ireko.disk.files import DiskFile
from ireko.disk.formats import create_layer
from ireko.disk.operations import compact, resize, seal
from ireko.disk.use import refuse_use, written_to
from ireko.errors import Conflict

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there QEMU's locks can be asked for")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "a.qcow2"
    with create_layer(path, NewLayer(MIB)) as writer:
        writer.write_data(0, b"x" * 4096)
        writer.finish()
    return path


def lock(file: DiskFile, byte: int) -> None:
    import fcntl

    fcntl.fcntl(file.descriptor, fcntl.F_OFD_SETLK, struct.pack("@hhqqi0q", fcntl.F_RDLCK, 0, byte, 1, 0))


@pytest.mark.parametrize(("byte", "writes"), [(100, False), (101, True), (102, False), (201, False)])
def test_the_right_to_write_is_what_counts(disk: Path, byte: int, writes: bool) -> None:
    with DiskFile(disk) as other, DiskFile(disk) as file:
        lock(other, byte)
        assert written_to(file) is writes
    with DiskFile(disk) as file:
        assert not written_to(file)


def test_what_is_in_use_stays(disk: Path) -> None:
    before = disk.read_bytes(), disk.stat().st_ino, disk.stat().st_mode
    works: list[Callable[[], object]] = [lambda: compact(disk), lambda: resize(disk, 2 * MIB), lambda: seal(disk)]
    with DiskFile(disk) as other:
        lock(other, 101)
        for work in works:
            with pytest.raises(Conflict, match="in use by a machine"):
                work()
    assert (disk.read_bytes(), disk.stat().st_ino, disk.stat().st_mode) == before
    assert [path.name for path in disk.parent.iterdir()] == [disk.name]


def test_a_machine_that_starts_meanwhile_counts_too(disk: Path) -> None:
    before = disk.read_bytes()
    with DiskFile(disk) as other, pytest.raises(Conflict, match="in use by a machine"):
        compact(disk, progress=Progress(lambda _done, _total: lock(other, 101)))
    assert disk.read_bytes() == before
    assert [path.name for path in disk.parent.iterdir()] == [disk.name]


def test_qemu_is_seen(disk: Path, qemu_img: str) -> None:
    program = Path(qemu_img).with_name("qemu-io")
    if not program.exists():
        pytest.skip("qemu-io is not installed")
    for options, used in (([], True), (["-r"], False)):
        with subprocess.Popen(
            [program, *options, "-f", "qcow2", disk], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(b"length\n")
            process.stdin.flush()
            assert any(b"MiB" in line for line in iter(process.stdout.readline, b""))  # the file is open by now
            if used:
                with pytest.raises(Conflict):
                    refuse_use(disk)
            else:
                refuse_use(disk)
            process.stdin.close()
            process.wait(120)
