"""What several kinds of tests need: guests to boot, a daemon as a process, a person at a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from ireko.drivers.base import Driver
from ireko.engine.make import RecipeBook
from ireko.errors import IrekoError
from ireko.model.image import Image
from ireko.store.paths import Paths

Made = TypeVar("Made")
DEADLINE = 120.0
"""Seconds after which a program that was started hangs: it ends what would never end, and says nothing of how long is fine."""
LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
IN_CI = os.environ.get("CI", "").lower() == "true"

# No case has a time limit, which a busy machine exceeds, and each run draws the same ones, so that a run which fails tells of
# what has changed. `--hypothesis-profile=explore` draws others each time.
_PATIENT = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _PATIENT, derandomize=True, database=None)
settings.register_profile("explore", _PATIENT, derandomize=False)
settings.load_profile("same")


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
    """Skip, with the reason, what this machine can't offer and nobody can install. The files with most guests come first.

    Where several processes share the tests, file by file, none is left alone with a long one at the end.
    """
    guests = Counter(item.path for item in items if item.get_closest_marker("qemu"))
    items.sort(key=lambda item: -guests[item.path])
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
    """The guest that is up in seconds."""
    root = tmp_path_factory.mktemp("nano") / "root"
    root.mkdir()
    (root / "cache").symlink_to(test_cache)  # what takes minutes to fetch outlives the tests
    with _making("nano", test_cache):
        from ireko.drivers.qemu import QemuDriver
        from ireko.recipes import Book

        image = _apart(_make_root(root, QemuDriver(root / "state"), Book()))
    boot, paths = image.config.boot, Paths(root, "qcow2")
    assert boot
    folder = paths.boot / boot.id
    return GuestImage(paths.layer_disk(image.top), "qcow2", folder / "kernel", folder / "initrd", boot.append)


@pytest.fixture(scope="session")
def nano_root(nano_image: GuestImage) -> Path:
    """A root with this image for QEMU, to be copied with its links."""
    return nano_image.disk.parents[2]


@pytest.fixture(scope="session")
def debian_image(test_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> GuestImage:
    """The whole system, made by its recipe: minutes the first time, half of one from the cache."""
    with _making("debian", test_cache):
        from ireko.recipes import Book

        work = tmp_path_factory.mktemp("debian")
        built = _apart(Book().build("debian", None, workdir=work, cache=test_cache, progress=lambda *_: None))
    assert built.kernel
    assert built.initrd
    return GuestImage(built.disk, "qcow2", built.kernel, built.initrd, built.append)


@contextlib.contextmanager
def _making(name: str, cache: Path) -> Iterator[None]:
    """One process at a time fills the cache, where several run tests; what is missing for it is told."""
    import fcntl

    if shutil.which("qemu-system-x86_64") is None:
        give_up("QEMU is not installed: sudo apt-get install qemu-system-x86 qemu-utils")
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except IrekoError as error:
            give_up(f"the {name} image can't be made: {error} ({error.hint})\n{error.details}")


def _apart(coroutine: Coroutine[None, None, Made]) -> Made:
    """Run to the end in a thread with a loop of its own: the test that asks first may have one that runs."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def base_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the image nano of the fake driver, to be copied: a test that needs no other need not make it."""
    from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost

    root = tmp_path_factory.mktemp("base") / "root"
    _apart(_make_root(root, FakeDriver(FakeHost()), FakeBook()))
    return root


async def _make_root(root: Path, driver: Driver, recipes: RecipeBook) -> Image:
    from ireko.engine.engine import Engine

    engine = await Engine.open(root=root, driver=driver, recipes=recipes)
    image = await engine.images.make("nano", progress=lambda *_: None)
    await engine.close()
    return image


def command_lines() -> dict[int, str]:
    """The command lines of all processes of this machine, by their numbers."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


class DaemonProcess:
    """A daemon in a process of its own."""

    def __init__(self, root: Path, driver: str = "fake") -> None:
        self.root = root
        self.driver = driver
        self.address = f"unix://{root / 'ireko.sock'}"

    def start(self) -> None:
        """Returns when it serves."""
        command = [sys.executable, "-m", "ireko", "serve", "--driver", self.driver, "--root", str(self.root)]
        reading, writing = os.pipe()
        with (self.root / "log").open("ab") as log, os.fdopen(reading) as pipe:
            self.process = subprocess.Popen(
                [*command, "--ready-fd", str(writing)],
                pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            os.close(writing)
            assert pipe.readline() == "ready\n", (self.root / "log").read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE)


@pytest.fixture(scope="module")
def daemon_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    made = DaemonProcess(tmp_path_factory.mktemp("r"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Typist:
    """A program on a terminal of 24 rows and 80 columns, and a person at it."""

    def __init__(self, argv: list[str], environment: dict[str, str] | None = None) -> None:
        import pty

        self.seen = b""
        self.master, slave = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOGIN, *argv], stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        import termios

        termios.tcsetwinsize(self.master, (rows, columns))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def expect(self, pattern: bytes) -> bytes:
        """Read until the pattern has come; what came with it. What was expected before is forgotten."""
        end = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            piece = b""
            with contextlib.suppress(OSError):  # Linux: the last one has closed the other side
                piece = os.read(self.master, 4096) if ready else b""
            assert piece, f"waited for {pattern!r}, saw {self.seen!r}"
            self.seen += piece
        self.seen = self.seen[found.end() :]
        return found[0]

    def expect_raw(self) -> None:
        """Wait until the program has made its terminal raw: many throw away then what was typed before."""
        import termios

        end = time.monotonic() + DEADLINE
        while termios.tcgetattr(self.master)[3] & termios.ECHO:
            assert time.monotonic() < end, f"the terminal never became raw, saw {self.seen!r}"
            time.sleep(0.01)

    def expect_size(self, rows: int, columns: int) -> None:
        """Have the shell inside say its terminal's size until it is this one: a new size travels by itself."""
        wanted = b"%d %d\r\n" % (rows, columns)
        for _ in range(100):
            self.type(b"stty size\r")
            if self.expect(rb"\d+ \d+\r\n") == wanted:
                return
        pytest.fail("the size never came")

    def ends(self) -> int:
        """The exit code, once the program has ended."""
        code = self.process.wait(DEADLINE)
        self.expect(rb"(?s).*")
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def sit_down() -> Iterator[Callable[..., Typist]]:
    """Sits down at a terminal with a program's argument vector, and environment."""
    made: list[Typist] = []

    def sit(argv: list[str], environment: dict[str, str] | None = None) -> Typist:
        made.append(Typist(argv, environment))
        return made[-1]

    yield sit
    for each in made:
        each.close()
