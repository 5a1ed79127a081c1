"""A second client, written in Python by docker's own people."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import docker
from tests.conftest import DEADLINE

from .conftest import Daemon

Work = Callable[[docker.DockerClient], Any]


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[Callable[[Work], Any]]:
    """Runs blocking work with a client, in a thread."""

    def work_with(work: Work) -> Any:
        made = docker.DockerClient(base_url=daemon.address, version="auto", timeout=DEADLINE)
        try:
            return work(made)
        finally:
            made.close()

    async def run(work: Work) -> Any:
        return await asyncio.to_thread(work_with, work)

    return run  # type: ignore[return-value]


async def test_version_and_info(client) -> None:
    def work(found: docker.DockerClient) -> None:
        assert found.ping()
        assert found.api.api_version == "1.47"
        assert found.version()["Components"][0]["Name"] == "Engine"
        assert found.info()["OSType"] == "linux"
        assert found.df()["LayersSize"] > 0

    await client(work)


async def test_run(client) -> None:
    def work(found: docker.DockerClient) -> None:
        assert found.containers.run("nano", ["echo", "hi"], remove=True) == b"hi\n"
        settings = {"environment": {"A": "b"}, "working_dir": "/srv", "user": "nobody", "hostname": "box"}
        script = "echo $A; pwd; whoami; hostname"
        said = found.containers.run("nano", ["sh", "-c", script], remove=True, **settings)
        assert said == b"b\n/srv\nnobody\nbox\n"
        with pytest.raises(docker.errors.ContainerError) as caught:
            found.containers.run("nano", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True)
        assert (caught.value.exit_status, caught.value.stderr) == (3, b"wrong\n")
        assert found.containers.list(all=True) == []

    await client(work)


async def test_a_container_s_life(client) -> None:
    def work(found: docker.DockerClient) -> None:
        box = found.containers.run(
            "nano", ["sleep", "1000"], detach=True, name="box", labels={"k": "v"}, ports={"80": None}
        )
        assert (box.status, box.name, box.labels) == ("created", "box", {"k": "v"})
        box.reload()
        assert (box.status, box.image.tags) == ("running", ["nano:latest"])
        assert int(box.ports["80/tcp"][0]["HostPort"]) > 0
        assert [each.name for each in found.containers.list(filters={"label": "k=v"})] == ["box"]
        box.pause()
        box.unpause()
        box.restart(timeout=1)
        box.rename("other")
        assert found.containers.get("other").id == box.id
        box.stop(timeout=1)
        assert box.wait(timeout=10) == {"StatusCode": 143}
        box.remove()
        with pytest.raises(docker.errors.NotFound):
            found.containers.get(box.id)

    await client(work)


async def test_errors_have_their_kind(client) -> None:
    def work(found: docker.DockerClient) -> None:
        with pytest.raises(docker.errors.ImageNotFound):
            found.containers.create("nobody")
        found.containers.create("nano", name="box")
        with pytest.raises(docker.errors.APIError) as caught:
            found.containers.create("nano", name="box")
        assert caught.value.status_code == 409
        assert caught.value.explanation.startswith('Conflict. The container name "/box" is already in use')

    await client(work)


def executed(box: Any, script: str, **more: bool) -> tuple[int, list[Any]]:
    """The exit code and the output of a script that begins when the answer's head was read.

    What comes in one piece with the head is lost to docker-py, and a real guest is never that quick.
    """
    api = box.client.api
    identifier = api.exec_create(box.id, ["sh", "-c", f"while ! [ -e /go ]; do sleep 0.01; done; {script}"])["Id"]
    output = api.exec_start(identifier, stream=True, **more)
    box.exec_run(["touch", "/go"], detach=True)
    said = list(output)
    output._response.close()  # its own close leaves the connection open
    box.exec_run(["rm", "/go"])
    return api.exec_inspect(identifier)["ExitCode"], said


async def test_exec(client) -> None:
    def work(found: docker.DockerClient) -> None:
        box = found.containers.run("nano", ["sleep", "1000"], detach=True)
        assert executed(box, "echo out; exit 4") == (4, [b"out\n"])
        both = executed(box, "echo out; echo err >&2", demux=True)
        assert both == (0, [(b"out\n", None), (None, b"err\n")])
        assert b"sleep 1000" in str(box.top()["Processes"]).encode()

    await client(work)


async def test_logs(client) -> None:
    def work(found: docker.DockerClient) -> None:
        box = found.containers.run("nano", ["sh", "-c", "echo one; echo two >&2; echo three"], detach=True)
        assert list(box.logs(stream=True, follow=True, stderr=False)) == [b"one\n", b"three\n"]
        assert box.logs(tail=1) == b"three\n"
        assert box.logs(stdout=False) == b"two\n"

    await client(work)


async def test_files(client) -> None:
    def work(found: docker.DockerClient) -> None:
        box = found.containers.create("nano", ["true"])
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("given")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"data"))
        assert box.put_archive("/srv", buffer.getvalue())
        pieces, stat = box.get_archive("/srv/given")
        assert (stat["name"], stat["size"]) == ("given", 4)
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            assert archive.extractfile("given").read() == b"data"  # type: ignore[union-attr]
        assert {"Path": "/srv/given", "Kind": 1} in box.diff()

    await client(work)


async def test_images(client) -> None:
    def work(found: docker.DockerClient) -> None:
        assert found.images.pull("debian", tag="12").tags == ["debian:12", "debian:latest"]
        box = found.containers.create("nano", ["true"])
        image = box.commit(repository="web", tag="1", message="note", changes=["ENV A=b"])
        assert image.tags == ["web:1"]
        assert image.attrs["Config"]["Env"] == ["A=b"]
        assert image.tag("site", tag="2")
        assert [each["Tags"] for each in found.images.get("site:2").history()] == [["site:2", "web:1"], ["nano:latest"]]
        assert {tag for each in found.images.list() for tag in each.tags} >= {"web:1", "site:2", "nano:latest"}
        found.images.remove("site:2")
        found.images.remove("web:1")
        box.remove()
        assert found.images.prune()["ImagesDeleted"] is None

    await client(work)


async def test_volumes_networks_events(client) -> None:
    def work(found: docker.DockerClient) -> None:
        volume = found.volumes.create("data", labels={"k": "v"})
        assert [each.name for each in found.volumes.list(filters={"label": "k"})] == ["data"]
        volume.remove()
        assert [each.name for each in found.networks.list()] == ["bridge", "none"]
        actions = [event["Action"] for event in found.events(since=1, until=time.time(), decode=True)]
        assert actions[-2:] == ["create", "destroy"]

    await client(work)


async def test_stats(client) -> None:
    def work(found: docker.DockerClient) -> None:
        box = found.containers.run("nano", ["sleep", "1000"], detach=True)
        assert box.stats(stream=False)["memory_stats"]["usage"] > 0

    await client(work)
