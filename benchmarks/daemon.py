"""A daemon of our own, as a process, on a root that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ireko.client import Client
from ireko.client.address import Address
from ireko.client.transport import HttpTransport

IREKO = str(Path(sys.executable).with_name("ireko"))
"""The console script, as people run it."""
IMAGE = "nano"
_DEADLINE = 60.0


class Daemon:
    """The daemon, its root, and a client of it. `driver` is qemu or fake."""

    def __init__(self, root: Path, driver: str) -> None:
        self.root = root
        self.driver = driver
        self.address = f"unix://{root / 'ireko.sock'}"
        self.client = Client(HttpTransport(Address.parse(self.address)))
        self.process = self._serve()

    def run(self, *arguments: str) -> None:
        """`ireko` as a process, as its user runs it who has no other daemon. Raises CalledProcessError."""
        environment = {**os.environ, "IREKO_HOME": str(self.root)}
        subprocess.run([IREKO, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)

    def folder(self, container: str) -> Path:
        """A container's folder."""
        return self.root / "containers" / container

    def create(self, *argv: str, name: str = "", **config: object) -> str:
        """A container that is not started; its id."""
        return str(self.client.containers.create({"Image": IMAGE, "Cmd": list(argv), **config}, name=name)["Id"])

    def start(self, *argv: str, name: str = "", **config: object) -> str:
        """A container that runs; its id."""
        made = self.create(*argv, name=name, **config)
        self.client.containers.start(made)
        return made

    def run_to_end(self, container: str) -> None:
        """Start a container and wait for its end. Raises AssertionError, with its output, when its exit code is not 0."""
        ended = self.client.containers.wait(container, condition="next-exit")
        self.client.containers.start(container)
        code, error = ended.result()
        if code:
            said = b"".join(data for _, data in self.client.containers.logs(container))
            raise AssertionError(f"a container ended with {code} ({error}): {said!r}")

    def remove(self, container: str) -> None:
        """Whatever state it is in."""
        self.client.containers.remove(container, force=True)

    def execute(self, container: str, *argv: str) -> bytes:
        """The output of a program in a running container. Raises AssertionError when it fails."""
        commands = self.client.containers
        made = commands.create_exec(container, {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True})
        stream = commands.start_exec(made, {})
        try:
            said = b"".join(data for _, data in stream.output())
        finally:
            stream.close()
        code = commands.inspect_exec(made)["ExitCode"]
        assert code == 0, f"{argv} ended with {code}: {said!r}"
        return said

    def close(self) -> None:
        """End every machine, then the daemon."""
        with contextlib.suppress(Exception):  # whatever is wrong with it: it must end
            for each in self.client.containers.all(stopped=True):
                self.remove(each["Id"])
        self.process.terminate()
        try:
            self.process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _serve(self) -> subprocess.Popen[bytes]:
        reading, writing = os.pipe()
        argv = [IREKO, "serve", "--driver", self.driver, "--root", str(self.root), "-H", self.address]
        with (self.root / "daemon.log").open("ab") as log, os.fdopen(reading) as pipe:
            process = subprocess.Popen(
                [*argv, "--ready-fd", str(writing)],
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end it when its machines are gone
            )
            os.close(writing)
            if pipe.readline() != "ready\n":
                process.wait()
                raise RuntimeError(f"the daemon did not come up:\n{(self.root / 'daemon.log').read_text()}")
        return process


@contextlib.contextmanager
def daemon(driver: str) -> Iterator[Daemon]:
    """A daemon that has the image; machines, files and daemon are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ireko-") as folder:
        root = Path(folder)
        _share_cache(root)
        made = Daemon(root, driver)
        try:
            # what is fetched and built is told on standard error: the first time it takes minutes
            made.run("image", "make", IMAGE)
            yield made
        finally:
            made.close()


def _share_cache(root: Path) -> None:
    """What recipes fetch outlives the root, as it does for the tests."""
    chosen = os.environ.get("IREKO_TEST_CACHE")
    cache = Path(chosen) if chosen else Path.home() / ".cache" / "ireko-tests"
    cache.mkdir(parents=True, exist_ok=True)
    (root / "cache").symlink_to(cache)
