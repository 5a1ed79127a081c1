"""A daemon in a process of its own that is killed with kill -9 while clients are busy, and started again."""

from __future__ import annotations

import random
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ireko.client import Client, Refused
from ireko.client.address import Address
from ireko.client.transport import HttpTransport
from ireko.errors import Unavailable
from tests.conftest import DaemonProcess, command_lines

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
DRIVERS = [
    pytest.param("fake", id="fake"),
    pytest.param("qemu", id="qemu", marks=[pytest.mark.qemu, pytest.mark.timeout(900)]),
]
WORKERS, LIVES = 3, 3
PATIENCE = 300.0


class Daemon(DaemonProcess):
    """Runs on one root, again and again. `outlived`: whether machines go on without it."""

    def __init__(self, root: Path, driver: str) -> None:
        super().__init__(root, driver)
        self.outlived = driver == "qemu"
        self.client = Client(HttpTransport(Address.parse(self.address)))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def processes(self) -> list[str]:
        """The command lines of everything that runs on this root."""
        return [line for line in command_lines().values() if str(self.root) in line]

    def answer(self, ref: str, *argv: str) -> str:
        """What a program says that must succeed. Raises Unavailable when the daemon goes before that is known."""
        containers = self.client.containers
        exec_ = containers.create_exec(ref, {"Cmd": list(argv), "AttachStdout": True})
        stream = containers.start_exec(exec_, {})
        try:
            said = b"".join(data for _, data in stream.output()).decode()
        finally:
            stream.close()
        assert containers.inspect_exec(exec_)["ExitCode"] == 0, said
        return said


@dataclass
class Worker:
    """Does one verb after the other on a container of its own; `state` is what was acknowledged, "" is unsure."""

    daemon: Daemon
    name: str
    done: Callable[[], None]
    state: str = "gone"
    kept: str = ""
    committed: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Until the daemon is gone."""
        try:
            while True:
                for verb in (self.create, self.start, self.write, self.commit, self.stop, self.start, self.remove):
                    verb()
                    self.done()
        except (Unavailable, ConnectionError):
            return

    def create(self) -> None:
        if self.state == "gone":
            self.state = ""
            body = {"Image": self.committed[-1] if self.committed else "nano", "Cmd": ["sleep", "1000000"]}
            self.daemon.client.containers.create(body, name=self.name)
            self.state = "created"

    def start(self) -> None:
        if self.state not in {"running", "gone"}:
            self.state = ""
            self.daemon.client.containers.start(self.name)
            self.state = "running"

    def write(self) -> None:
        if self.state == "running":
            self.kept = ""
            self.daemon.answer(self.name, "sh", "-c", f"echo {self.name} > /kept; sync")
            self.kept = self.name

    def commit(self) -> None:
        self.daemon.client.containers.commit(self.name, repository=self.name)
        self.committed = [self.name]

    def stop(self) -> None:
        self.state = ""
        self.daemon.client.containers.stop(self.name, timeout=5)
        self.state = "exited"

    def remove(self) -> None:
        self.state = ""
        self.daemon.client.containers.remove(self.name, force=True)
        self.state, self.kept = "gone", ""

    def compare(self) -> None:
        """What was acknowledged is so, whatever was going on when the daemon was killed."""
        summaries = self.daemon.client.containers.all(stopped=True)
        found = next((each["State"] for each in summaries if each["Names"] == [f"/{self.name}"]), "gone")
        expected = "exited" if self.state == "running" and not self.daemon.outlived else self.state
        assert not expected or found == expected, self
        if found == "running":
            found = self.state_once_asked()
        for image in self.committed:
            assert self.daemon.client.images.inspect(image)["RepoTags"]
        self.state = found

    def state_once_asked(self) -> str:
        """It runs and answers, unless it was asked to end before the daemon was killed, and does so now."""
        try:
            assert self.daemon.answer(self.name, "echo", "yes") == "yes\n"
            if self.kept:
                assert self.daemon.answer(self.name, "cat", "/kept") == f"{self.kept}\n"
        except (Refused, AssertionError):
            if self.state:
                raise
            self.daemon.client.containers.wait(self.name).result()
            return "exited"
        return "running"


@pytest.fixture(params=DRIVERS)
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("k")
    base: Path = request.getfixturevalue("nano_root" if request.param == "qemu" else "base_root")
    shutil.copytree(base, root, symlinks=True, dirs_exist_ok=True)
    made = Daemon(root, request.param)
    made.start()
    yield made
    made.kill()
    made.start()  # so that no machine is left when a test fails half-way
    for container in made.client.containers.all(stopped=True):
        made.client.containers.remove(container["Id"], force=True)
    made.stop()


def listing(root: Path) -> set[str]:
    """What there is for good: not what the daemon and the driver write for themselves."""
    kept = (path.relative_to(root) for path in root.rglob("*"))
    return {str(path) for path in kept if path.parts[0] in {"layers", "containers", "volumes", "boot", "tmp"}}


def test_killed_while_clients_are_busy(daemon: Daemon) -> None:
    before = listing(daemon.root)
    dice = random.Random(7)
    verbs = threading.Semaphore(0)
    workers = [Worker(daemon, f"worker{number}", verbs.release) for number in range(WORKERS)]
    for _ in range(LIVES):
        with ThreadPoolExecutor(WORKERS) as executor:
            working = [executor.submit(worker.work) for worker in workers]
            for _ in range(dice.randrange(2, 14)):
                assert verbs.acquire(timeout=PATIENCE)
            daemon.kill()
        for each in working:
            each.result()
        daemon.start()
        assert not list((daemon.root / "tmp").iterdir())
        for worker in workers:
            worker.compare()
    clear(daemon)
    assert listing(daemon.root) == before
    daemon.stop()
    assert daemon.processes() == []
    daemon.start()


def clear(daemon: Daemon) -> None:
    for container in daemon.client.containers.all(stopped=True):
        daemon.client.containers.remove(container["Id"], force=True)
    for image in daemon.client.images.all():
        if image["RepoTags"] != ["nano:latest"]:
            daemon.client.images.remove(image["Id"], force=True)


def test_a_daemon_that_is_stopped_leaves_its_machines_alone(daemon: Daemon) -> None:
    if not daemon.outlived:
        pytest.skip("the fake's machines live in the daemon's process")
    daemon.client.containers.create({"Image": "nano", "Cmd": ["sleep", "1000000"]}, name="box")
    daemon.client.containers.start("box")
    assert daemon.answer("box", "echo", "before") == "before\n"
    daemon.stop()
    assert len(daemon.processes()) == 1
    daemon.start()
    assert daemon.answer("box", "echo", "after") == "after\n"
    daemon.client.containers.remove("box", force=True)
    assert len(daemon.processes()) == 1  # the daemon itself
