"""How `ireko disk` works: what is shown meanwhile, how it is stopped, and what it does without."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ireko.cli.main import main
from ireko.cli.progress import fitted
from ireko.cli.session import Session
from ireko.cli.text import display_width
from ireko.client import Client
from ireko.disk.base import NewLayer
from ireko.disk.formats import create_layer

MIB = 1 << 20
NOT_NEEDED = {"asyncio", "aiohttp", "msgspec", "rich", "socket", "ssl", "subprocess", "ireko.client", "ireko.engine"}


class Screen(io.StringIO):
    """A terminal that remembers what was on it; with the first text `answer` is given, so many times."""

    def __init__(self, answer: signal.Signals | None = None, times: int = 1) -> None:
        super().__init__()
        self._answer = answer
        self._times = times

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        if self._answer and self._times:
            times, self._times = self._times, 0
            for _ in range(times):
                signal.raise_signal(self._answer)
        return count


def no_daemon(_host: str | None) -> Client:
    raise AssertionError("the daemon was asked for")


def run(*argv: str, err: io.StringIO) -> tuple[int, str]:
    out = io.StringIO()
    code = main(argv, session=Session(out=out, err=err, stdin=io.StringIO(), connect=no_daemon))
    return code, out.getvalue()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "a.qcow2"
    with create_layer(path, NewLayer(8 * MIB)) as writer:
        writer.write_data(0, bytes(range(256)) * (8 * MIB // 256))
        writer.finish()
    return path


def files_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_ino, path.stat().st_mode) for path in folder.iterdir()}


WORKS = [
    ["compact", "DISK"],
    ["resize", "DISK", "16m"],
    ["convert", "--sparse", "DISK", "NEW"],
    ["flatten", "DISK", "NEW"],
    ["seal", "DISK"],
]


def words(argv: list[str], disk: Path) -> list[str]:
    return ["disk", *({"DISK": str(disk), "NEW": str(disk.with_name("new.vhdx"))}.get(word, word) for word in argv)]


@pytest.mark.parametrize("argv", WORKS, ids=lambda argv: argv[0])
def test_ctrl_c_leaves_everything_as_it_was(disk: Path, argv: list[str]) -> None:
    before, handler = files_of(disk.parent), signal.getsignal(signal.SIGINT)
    err = Screen(signal.SIGINT)
    assert run(*words(argv, disk), err=err) == (130, "")
    assert err.getvalue().endswith("ireko: stopped; the files are as they were\n")
    assert files_of(disk.parent) == before
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_does_not_wait(disk: Path) -> None:
    before = files_of(disk.parent)
    err = Screen(signal.SIGINT, times=2)
    assert run(*words(["compact", "DISK"], disk), err=err)[0] == 130
    assert files_of(disk.parent) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is ended without being told")
def test_being_ended_leaves_everything_as_it_was(disk: Path) -> None:
    before = files_of(disk.parent)
    with pytest.raises(SystemExit) as end:
        run(*words(["convert", "DISK", "NEW"], disk), err=Screen(signal.SIGTERM))
    assert end.value.code == 128 + signal.SIGTERM
    assert files_of(disk.parent) == before


def test_a_terminal_shows_how_far_it_is_and_is_left_clean(disk: Path) -> None:
    err = Screen()
    assert run(*words(["convert", "DISK", "NEW"], disk), err=err)[0] == 0
    first, *_, last = err.getvalue().split("\r")[1:]
    assert first.startswith(f"writing {disk.parent}"[:30])
    assert first.rstrip().endswith("% of 8MiB")
    assert last == ""
    assert err.getvalue().split("\r")[-2].strip() == ""


@pytest.mark.parametrize(("err", "more"), [(io.StringIO(), []), (Screen(), ["-q"])], ids=["elsewhere", "quiet"])
def test_nothing_is_shown(disk: Path, err: io.StringIO, more: list[str]) -> None:
    assert run(*words(["convert", "DISK", "NEW", *more], disk), err=err)[0] == 0
    assert err.getvalue() == ""


def test_no_daemon_and_no_client_is_needed(disk: Path) -> None:
    program = (
        "import sys; from ireko.cli.main import main;"
        "codes = [main(['disk', verb, sys.argv[1]]) for verb in ('info', 'check', 'map', 'diff', 'compact')];"
        "assert not any(codes), codes; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(disk)], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ireko.cli.disk.info" in loaded
    assert loaded & NOT_NEEDED == set()


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_however_long_the_name_one_sees_how_far_it_is(columns: int) -> None:
    details = "[====    ]  50% of 400MiB", " 50%"
    for name in ("writing a.raw", "writing /srv/" + "disks/" * 30, "writing " + "\u30b4" * 60):
        text = fitted(name, details, columns)
        assert " 50%" in text
        assert text.startswith("writing")
        assert display_width(text) <= columns
    assert fitted("writing a.raw", details, 80) == f"writing a.raw {details[0]}"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no shell to close a stream with")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_makes_no_difference(disk: Path, closed: str) -> None:
    command = f'"$0" -m ireko disk check "$1" {closed} && "$0" -m ireko disk convert -q "$1" "$1.raw" {closed}'
    ran = subprocess.run(
        ["sh", "-c", command, sys.executable, disk], check=False, capture_output=True, text=True, timeout=50
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert disk.with_name(f"{disk.name}.raw").stat().st_size == 8 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="there a signal ends a process in another way")
def test_ctrl_c_says_nothing_while_the_command_line_is_being_loaded(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "ireko", "disk"], env=environment, capture_output=True, check=False, timeout=50
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGINT, b"", b"")
