"""Images that leave and come back by the command line, against a daemon as a process, on the fake driver."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import DEADLINE, DaemonProcess
from tests.disks import content, write_disk

IREKO = (sys.executable, "-m", "ireko")


class Line:
    """Command lines against one daemon."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.argv = [*IREKO, "-H", daemon.address]

    def __call__(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*self.argv, *argv], input=stdin, capture_output=True, timeout=DEADLINE, check=False)

    def out(self, *argv: str, stdin: bytes = b"") -> bytes:
        ran = self(*argv, stdin=stdin)
        assert ran.returncode == 0, ran
        return ran.stdout

    def refused(self, *argv: str, stdin: bytes = b"") -> str:
        ran = self(*argv, stdin=stdin)
        assert ran.returncode not in {0, 130}, ran
        assert not ran.stdout
        return ran.stderr.decode()


@pytest.fixture(scope="module")
def far_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    made = DaemonProcess(tmp_path_factory.mktemp("far"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def here(daemon_process: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """It has the image disk:1, of a disk with 16 MiB of data."""
    line = Line(daemon_process)
    disk = write_disk(tmp_path_factory.mktemp("disk") / "disk.qcow2", {n * 64: n for n in range(256)})
    line.out("image", "import", str(disk), "disk:1")
    line.out("image", "make", "nano")
    return line


@pytest.fixture(scope="module")
def far(far_process: DaemonProcess) -> Line:
    return Line(far_process)


def test_from_one_daemon_to_another_through_a_pipe(here: Line, far: Line) -> None:
    with subprocess.Popen(
        [*here.argv, "image", "export", "--tree", "--format", "vhdx", "disk:1", "-"], stdout=subprocess.PIPE
    ) as sending:
        came = subprocess.run(
            [*far.argv, "image", "import", "-q", "-"],
            stdin=sending.stdout, capture_output=True, timeout=DEADLINE, check=True,
        )  # fmt: skip
    assert sending.returncode == 0
    wanted = here.out("image", "inspect", "-f", "{{.Id}}", "disk:1")
    assert came.stdout == wanted == far.out("image", "inspect", "-f", "{{.Id}}", "disk:1")


def test_by_a_file(here: Line, far: Line, tmp_path: Path) -> None:
    path = tmp_path / "nano.tar"
    ran = here("image", "export", "--tree", "nano", str(path))
    assert (ran.returncode, ran.stdout) == (0, b"")
    assert f"exported to {path}" in ran.stderr.decode()
    far.out("image", "import", str(path), "small:1")
    assert far.out("run", "--rm", "small:1", "cat", "/etc/hostname")
    assert "there is a file already" in here.refused("image", "export", "--tree", "nano", str(path))
    assert here("image", "export", "-q", "-f", "--tree", "nano", str(path)).stderr == b""


def test_a_disk(here: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("vhdx", "qcow2"):
        here.out("image", "export", "disk:1", f"disk.{name}")
    assert content(tmp_path / "disk.vhdx") == content(tmp_path / "disk.qcow2")
    ran = here("image", "export", "-q", "nano", "nano.raw")
    assert (ran.returncode, ran.stdout) == (0, b"")
    assert ran.stderr.decode().startswith("WARNING: no UEFI can boot the disk")


def test_what_makes_no_sense(here: Line, far: Line) -> None:
    assert "can't be written to standard output" in here.refused("image", "export", "disk:1", "-")
    assert "No such image" in here.refused("image", "export", "--tree", "gone", "-")
    assert "have their settings" in far.refused("image", "import", "--generation", "1", "-")
    assert "cut off before its first entry" in far.refused("image", "import", "-")


def test_an_archive_that_is_cut_off(here: Line, far: Line) -> None:
    archive = here.out("image", "export", "--tree", "disk:1", "-")
    assert 'cut off within "layers/1.qcow2"' in far.refused("image", "import", "-", "half", stdin=archive[: 8 << 20])
    assert "No such image" in far.refused("history", "half")


def test_what_is_refused_while_it_is_still_being_sent(far: Line) -> None:
    assert "no archive of images" in far.refused("image", "import", "-", stdin=b"x" * 4096 + bytes(64 << 20))


def test_ctrl_c(here: Line, far: Line, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*here.argv, "image", "export", "--tree", "--format", "vhdx", "disk:1", str(tmp_path / "disk.tar")],
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code = process.wait(DEADLINE)
    left = what_stays(here, tmp_path)
    assert (code, bool(left)) in {(130, False), (130, True), (0, True)}  # it may have been whole already
    for archive in left:
        far.out("image", "import", str(archive), "whole:1")
    here.out("image", "export", "-f", "disk:1", str(tmp_path / "disk.qcow2"))  # the daemon goes on


def what_stays(line: Line, folder: Path) -> list[Path]:
    """The files in a folder once no half-made one is there: the daemon clears away when it sees that its client has gone."""
    for _ in range(100):
        if not list(folder.glob(".*.part")):
            break
        line.out("version")
    return list(folder.iterdir())
