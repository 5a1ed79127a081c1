"""Images leave and come back by docker's own verbs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DEADLINE

from .conftest import Docker


@pytest.fixture
def image(docker: Docker, box: str) -> Iterator[str]:
    """An image with a file of its own, saved by nobody yet."""
    docker.out("exec", box, "sh", "-c", "echo saved > /kept")
    yield docker.out("commit", box, "saved:1").strip()
    docker("rmi", "-f", "saved:1", "saved:2")


def test_save_and_load(docker: Docker, image: str, tmp_path: Path) -> None:
    docker.out("save", "-o", str(tmp_path / "saved.tar"), "saved:1")
    docker.out("rmi", "saved:1")
    assert "No such image" in docker.refused("image", "inspect", "saved:1")
    assert docker.out("load", "-i", str(tmp_path / "saved.tar")).splitlines()[-1] == "Loaded image: saved:1"
    assert docker.out("image", "inspect", "-f", "{{.Id}}", "saved:1").strip() == image
    assert docker.out("run", "--rm", "saved:1", "cat", "/kept") == "saved\n"


def test_through_a_pipe(docker: Docker, image: str) -> None:
    docker.out("tag", "saved:1", "saved:2")
    with subprocess.Popen(
        [*docker.argv, "save", "saved:1", "saved:2", "nano"], stdout=subprocess.PIPE, env=docker.environment
    ) as saving:
        loading = subprocess.run(
            [*docker.argv, "load", "-q"], stdin=saving.stdout, capture_output=True, text=True, check=True,
            timeout=DEADLINE, env=docker.environment,
        )  # fmt: skip
    assert saving.returncode == 0
    assert loading.stdout.splitlines() == [f"Loaded image: {name}" for name in ("saved:1", "saved:2", "nano:latest")]
    assert docker.out("image", "inspect", "-f", "{{.Id}}", "saved:2").strip() == image


def test_compressed(docker: Docker, image: str, tmp_path: Path) -> None:
    docker.out("save", "-o", str(tmp_path / "saved.tar"), image)
    subprocess.run(["gzip", tmp_path / "saved.tar"], check=True)
    assert docker.out("load", "-q", "-i", str(tmp_path / "saved.tar.gz")) == f"Loaded image ID: {image}\n"


def test_what_is_no_archive(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("hello\n" * 1000)
    assert "no archive of images" in docker.refused("load", "-i", str(tmp_path / "text.tar"))
    (tmp_path / "oci-layout").write_text("{}")
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "docker.tar", "oci-layout"], check=True)
    assert "archive of container images" in docker.refused("load", "-i", str(tmp_path / "docker.tar"))


@pytest.mark.usefixtures("image")
def test_a_large_archive_that_is_refused_early(docker: Docker, tmp_path: Path) -> None:
    """The client is still sending when the daemon has seen enough."""
    with (tmp_path / "large.tar").open("wb") as file:
        file.write(b"x" * 4096)
        file.truncate(256 << 20)
    assert "no archive of images" in docker.refused("load", "-i", str(tmp_path / "large.tar"))


def test_an_image_that_is_not_there(docker: Docker, tmp_path: Path) -> None:
    assert "No such image: gone:latest" in docker.refused("save", "-o", str(tmp_path / "x.tar"), "gone")
    assert not (tmp_path / "x.tar").exists()
