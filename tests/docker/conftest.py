"""The real docker client as a process, against a daemon as a process, on the fake driver."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DEADLINE

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.docker)


class Docker:
    """The docker client, pointed at the daemon."""

    def __init__(self, program: str, address: str, config: Path) -> None:
        self.argv = [program, "-H", address]
        self.environment = {**os.environ, "DOCKER_CONFIG": str(config), "TZ": "UTC"}
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_API_VERSION"):
            self.environment.pop(name, None)

    def __call__(
        self, *arguments: str, stdin: bytes | str = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            [*self.argv, *arguments],
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True, timeout=DEADLINE, check=False, cwd=cwd, env=self.environment,
        )  # fmt: skip
        out, err = ran.stdout.decode(errors="surrogateescape"), ran.stderr.decode()
        return subprocess.CompletedProcess(ran.args, ran.returncode, out, err)

    def out(self, *arguments: str, stdin: bytes | str = b"", cwd: Path | None = None) -> str:
        """Standard output of a command line that must succeed."""
        ran = self(*arguments, stdin=stdin, cwd=cwd)
        assert ran.returncode == 0, ran
        return ran.stdout

    def refused(self, *arguments: str) -> str:
        """What is said about a command line that must fail with 1."""
        ran = self(*arguments)
        assert (ran.returncode, ran.stdout.strip("[]\n")) == (1, ""), ran
        return ran.stderr.strip()

    def state(self, ref: str) -> str:
        return self.out("inspect", "-f", "{{.State.Status}}", ref).strip()

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command line that goes on; it is ended with the block."""
        with subprocess.Popen(
            [*self.argv, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def docker(docker_client: str, daemon_process, tmp_path_factory: pytest.TempPathFactory) -> Docker:
    made = Docker(docker_client, daemon_process.address, tmp_path_factory.mktemp("config"))
    made.out("pull", "-q", "nano")
    return made


@pytest.fixture
def name(docker: Docker, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for a container of this test's own, which is removed afterwards."""
    chosen = re.sub(r"\W", "-", request.node.name)[:40]
    yield chosen
    docker("rm", "-f", chosen)


@pytest.fixture
def box(docker: Docker, name: str) -> str:
    """A running container."""
    docker.out("run", "-d", "--name", name, "nano", "sleep", "1h")
    return name


@pytest.fixture
def typist(docker: Docker, sit_down):
    return lambda *argv: sit_down([*docker.argv, *argv], docker.environment)
