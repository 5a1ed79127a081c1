"""Containers from the first to the last day."""

from __future__ import annotations

import json

import pytest

from .conftest import Docker


def test_create_start_wait(docker: Docker, name: str) -> None:
    docker.out("create", "--name", name, "nano", "sh", "-c", "exit 5")
    assert docker.state(name) == "created"
    assert docker.out("start", name) == f"{name}\n"
    assert docker.out("wait", name) == "5\n"
    assert docker.state(name) == "exited"


def test_start_attached_with_input(docker: Docker, name: str) -> None:
    docker.out("create", "-i", "--name", name, "nano", "sh", "-c", "cat; exit 5")
    ran = docker("start", "-ai", name, stdin="typed")
    assert (ran.returncode, ran.stdout) == (5, "typed")


def test_stop_start_restart_kill(docker: Docker, box: str) -> None:
    assert docker.out("stop", "-t", "1", box) == f"{box}\n"
    assert docker.state(box) == "exited"
    docker.out("stop", box)  # stopped already: no error
    assert docker.out("start", box) == f"{box}\n"
    docker.out("start", box)  # and so is this
    assert docker.out("restart", "-t", "1", box) == f"{box}\n"
    assert docker.state(box) == "running"
    assert docker.out("kill", box) == f"{box}\n"
    assert docker.out("wait", box) == "137\n"
    assert "is not running" in docker.refused("kill", box)


def test_a_signal(docker: Docker, name: str) -> None:
    script = "trap 'exit 9' USR1; echo ready; while true; do sleep 0.01; done"
    docker.out("run", "-d", "--name", name, "nano", "sh", "-c", script)
    with docker.running("logs", "-f", name) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "ready\n"
    docker.out("kill", "-s", "USR1", name)
    assert docker.out("wait", name) == "9\n"
    assert "Invalid signal: NOSUCH" in docker.refused("kill", "-s", "NOSUCH", name)


def test_pause_and_unpause(docker: Docker, box: str) -> None:
    assert docker.out("pause", box) == f"{box}\n"
    assert docker.state(box) == "paused"
    assert "(Paused)" in docker.out("ps", "--filter", f"name={box}", "--format", "{{.Status}}")
    assert "already paused" in docker.refused("pause", box)
    assert "is paused, unpause the container before exec" in docker.refused("exec", box, "true")
    assert docker.out("unpause", box) == f"{box}\n"
    assert "is not paused" in docker.refused("unpause", box)


def test_rename(docker: Docker, box: str) -> None:
    docker.out("rename", box, f"{box}-x")
    assert docker.out("inspect", "-f", "{{.Name}}", f"{box}-x") == f"/{box}-x\n"
    docker.out("rename", f"{box}-x", box)
    assert "is already in use" in docker.refused("create", "--name", box, "nano", "true")


def test_rm(docker: Docker, box: str) -> None:
    assert "stop the container before removing or force remove" in docker.refused("rm", box)
    assert docker.out("rm", "-f", box) == f"{box}\n"
    assert docker.refused("rm", box).endswith(f"No such container: {box}")


def test_attach_ends_with_the_container(docker: Docker, name: str) -> None:
    docker.out("run", "-d", "-i", "--name", name, "nano", "sh", "-c", "read word; echo got $word; exit 6")
    ran = docker("attach", name, stdin="this\n")
    assert (ran.returncode, ran.stdout) == (6, "got this\n")


def test_restart_policy(docker: Docker, name: str) -> None:
    docker.out("run", "-d", "--restart", "on-failure:2", "--name", name, "nano", "false")
    with docker.running("events", "--since", "1", "--filter", f"container={name}", "--filter", "event=die") as events:
        assert events.stdout is not None
        assert len([events.stdout.readline() for _ in range(3)]) == 3
    assert docker.out("wait", name) == "1\n"
    assert docker.out("inspect", "-f", "{{.RestartCount}}", name) == "2\n"


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "pause", "unpause", "wait", "rm", "top", "logs"])
def test_a_container_that_does_not_exist(docker: Docker, verb: str) -> None:
    assert "No such container: nobody" in docker.refused(verb, "nobody")


def test_an_ambiguous_id(docker: Docker) -> None:
    ids = [docker.out("create", "nano", "true").strip() for _ in range(17)]  # two begin with the same digit
    first = next(each[0] for each in ids if sum(other[0] == each[0] for other in ids) > 1)
    assert f'"{first}" is the beginning of' in docker.refused("start", first)
    docker.out("rm", *ids)


def test_inspect(docker: Docker, box: str) -> None:
    found = json.loads(docker.out("inspect", "--size", box))[0]
    assert found["State"] | {"Running": True, "Paused": False} == found["State"]
    assert (found["Path"], found["Args"]) == ("sleep", ["1h"])
    assert found["SizeRw"] >= 0
    assert docker.out("inspect", "--type", "container", "-f", "{{.HostConfig.NetworkMode}}", box) == "bridge\n"
    assert "No such object: nobody" in docker.refused("inspect", "nobody")
