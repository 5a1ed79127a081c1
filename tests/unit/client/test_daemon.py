"""Starting a daemon on demand, with a small program in the daemon's place."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ireko.client import daemon
from ireko.client.address import Address
from ireko.client.transport import open_socket
from ireko.errors import Unavailable

PROGRAM = """
import contextlib, os, pathlib, socket, sys, threading
_, root, _, address, _, ready = sys.argv[1:]
root = pathlib.Path(root)
mode = ""
with contextlib.suppress(FileNotFoundError):  # it may go at any moment
    mode = (root / "mode").read_text()
with (root / "pids").open("a") as file:
    file.write(f"{os.getpid()}\\n")
print("a word in the log", file=sys.stderr, flush=True)
if mode == "fails":
    sys.exit(3)
if mode == "taken":
    sys.exit(75)
listener = socket.socket(socket.AF_UNIX)
listener.bind(address.removeprefix("unix://"))
listener.listen()
os.write(int(ready), b"ready\\n")
while True:
    listener.accept()[0].close()
"""


class Home:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = Address("unix", path=str(root / "s"))

    def start(self) -> None:
        daemon.start(self.root, self.address, program=(sys.executable, "-c", PROGRAM))

    def pids(self) -> list[int]:
        file = self.root / "pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    for pid in made.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def test_it_answers_when_start_returns(home: Home) -> None:
    home.start()
    open_socket(home.address).close()
    assert "a word in the log" in (home.root / "daemon.log").read_text()


def test_it_leads_a_session_of_its_own(home: Home) -> None:
    home.start()
    (pid,) = home.pids()
    assert os.getsid(pid) == pid


def test_one_that_answers_is_left_alone(home: Home) -> None:
    home.start()
    home.start()
    assert len(home.pids()) == 1


def test_many_at_once_start_one(home: Home) -> None:
    failures: list[BaseException] = []

    def client() -> None:
        try:
            home.start()
            open_socket(home.address).close()
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(home.pids()) == 1


def test_one_that_fails_is_explained_with_its_last_words(home: Home) -> None:
    (home.root / "mode").write_text("fails")
    with pytest.raises(Unavailable, match=r"exit code 3\): a word in the log") as caught:
        home.start()
    assert "daemon.log" in caught.value.hint


def test_a_root_that_is_taken_is_tried_again(home: Home) -> None:
    (home.root / "mode").write_text("taken")
    waiting = threading.Thread(target=home.start)
    waiting.start()
    while not home.pids():
        waiting.join(0.01)
    (home.root / "mode").unlink()
    waiting.join()
    open_socket(home.address).close()
