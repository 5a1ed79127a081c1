"""`run`, `start -a`, `attach` and `exec` against a scripted daemon: order, streams, exit codes."""

from __future__ import annotations

import json
import socket

import pytest

from ireko.client import Refused, Stream

ID = "f" * 64


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Daemon:
    """Answers what a run asks, and gives it a connection that already holds all the output."""

    def __init__(self, cli, output: bytes, *, multiplexed: bool = True) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.sendall(output)
        self.ours.shutdown(socket.SHUT_WR)
        self.theirs, self.reader = theirs, theirs.makefile("rb")
        transport = cli.transport
        transport.answers = {
            "POST /containers/create": json.dumps({"Id": ID, "Warnings": []}).encode(),
            f"POST /containers/{ID}/start": b"",
            f"POST /containers/{ID}/wait": b'{"StatusCode": 7}',
            "POST /containers/web/exec": b'{"Id": "e1"}',
            "GET /exec/e1/json": b'{"ExitCode": 3, "Running": false}',
        }

        def upgrade(request) -> Stream:
            transport.requests.append(request)
            return Stream(theirs, self.reader, multiplexed=multiplexed)

        transport.upgrade = upgrade

    def close(self) -> None:
        for each in (self.ours, self.theirs, self.reader):
            each.close()


@pytest.fixture
def daemon(cli):
    made: list[Daemon] = []

    def make(*args, **kwargs) -> Daemon:
        made.append(Daemon(cli, *args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_quick_command_loses_nothing(cli, daemon) -> None:
    daemon(frame(1, b"out\n") + frame(2, b"err\n") + frame(1, "入\n".encode()))
    ran = cli("run", "--rm", "nano", "true")
    assert (ran.code, ran.out, ran.err) == (7, "out\n入\n", "err\n")
    assert [request.path.rpartition("/")[2] for request in cli.transport.requests] == [
        "create",
        "attach",
        "wait",
        "start",
    ]
    assert cli.transport.requests[2].query == {"condition": "removed"}


def test_without_rm_the_wait_is_for_the_next_exit(cli, daemon) -> None:
    daemon(b"")
    assert cli("run", "nano", "true").code == 7
    assert cli.transport.requests[2].query == {"condition": "next-exit"}


def test_a_start_that_is_refused_ends_with_docker_s_codes(cli, daemon) -> None:
    daemon(b"")
    cli.transport.answers[f"POST /containers/{ID}/start"] = Refused("port is already allocated", status=500)
    ran = cli("run", "nano")
    assert (ran.code, ran.err) == (125, "Error response from daemon: port is already allocated\n")


def test_detached_prints_the_id_alone(cli, daemon) -> None:
    daemon(b"")
    ran = cli("run", "-d", "-it", "nano")
    assert (ran.code, ran.out) == (0, f"{ID}\n")
    body = json.loads(cli.transport.requests[0].body)
    assert (body["AttachStdin"], body["AttachStdout"], body["OpenStdin"], body["StdinOnce"]) == (
        False,
        False,
        True,
        False,
    )


def test_a_missing_image_is_made_first(cli, daemon) -> None:
    daemon(frame(1, b"hi\n"))
    create = cli.transport.answers["POST /containers/create"]
    cli.transport.answers["POST /containers/create"] = [Refused("No such image: nano:latest", status=404), create]
    cli.transport.answers["POST /images/create"] = b'{"status":"Making nano"}{"status":"unpacking","id":"nano"}'
    ran = cli("run", "nano", "echo", "hi")
    assert ran.out == "hi\n"
    assert ran.err.splitlines() == [
        "Unable to find image 'nano:latest' locally",
        'Making it with the recipe "nano": Debian\'s cloud kernel and busybox',
        "Making nano",
        "nano: unpacking",
    ]
    assert "POST /images/create?fromImage=nano&tag=latest" in cli.transport.sent()


def test_an_image_that_nobody_makes_is_docker_s_error(cli, daemon) -> None:
    daemon(b"")
    cli.transport.answers["POST /containers/create"] = Refused("No such image: x:latest", status=404)
    cli.transport.answers["POST /images/create"] = Refused(
        "pull access denied for x", status=404, hint="ireko image recipes"
    )
    ran = cli("run", "x")
    assert ran.code == 125
    assert ran.err.splitlines()[-2:] == [
        "Error response from daemon: pull access denied for x",
        "hint: ireko image recipes",
    ]


def test_pull_never_makes_nothing(cli, daemon) -> None:
    daemon(b"")
    cli.transport.answers["POST /containers/create"] = Refused("No such image: x:latest", status=404)
    assert cli("run", "--pull", "never", "x").code == 125
    assert len(cli.transport.requests) == 1


def test_exec_ends_with_the_command_s_code(cli, daemon) -> None:
    daemon(frame(1, b"x"))
    ran = cli("exec", "-e", "A=1", "-w", "/srv", "-u", "me", "web", "ls", "-l", "--all")
    assert (ran.code, ran.out) == (3, "x")
    body = json.loads(cli.transport.requests[0].body)
    assert (body["Cmd"], body["Env"], body["WorkingDir"], body["User"]) == (
        ["ls", "-l", "--all"],
        ["A=1"],
        "/srv",
        "me",
    )


@pytest.mark.parametrize(
    ("state", "said"), [({"Running": False}, "stopped"), ({"Running": True, "Paused": True}, "paused")]
)
def test_attach_needs_a_running_container(cli, state: dict[str, bool], said: str) -> None:
    cli.transport.answers["GET /containers/web/json"] = json.dumps({"State": state}).encode()
    ran = cli("attach", "web")
    assert ran.code == 1
    assert f"cannot attach to a {said} container" in ran.err


def test_start_attached_takes_the_exit_code(cli, daemon) -> None:
    daemon(b"raw output", multiplexed=False)
    cli.transport.answers["GET /containers/web/json"] = json.dumps(
        {"Id": ID, "Config": {"Tty": False, "OpenStdin": False}, "HostConfig": {"AutoRemove": False}}
    ).encode()
    ran = cli("start", "-a", "web")
    assert (ran.code, ran.out) == (7, "raw output")
