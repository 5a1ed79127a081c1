"""`docker run` and what it takes."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest

from tests.conftest import DEADLINE

from .conftest import Docker

DETACH = b"\x10\x11"


def test_streams_and_code_are_the_command_s(docker: Docker) -> None:
    ran = docker("run", "--rm", "nano", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "out\n", "err\n")


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_command_that_can_t_be_started(docker: Docker, command: str, code: int) -> None:
    ran = docker("run", "--rm", "nano", command)
    assert ran.returncode == code
    assert command in ran.stderr


def test_input_reaches_the_command_and_its_end_too(docker: Docker) -> None:
    data = bytes(range(128)) * 5000
    assert docker("run", "--rm", "-i", "nano", "cat", stdin=data).stdout.encode() == data


def test_rm_leaves_nothing(docker: Docker, name: str) -> None:
    docker.out("run", "--rm", "--name", name, "nano", "true")
    assert docker("inspect", name).returncode == 1


def test_detached_prints_the_id(docker: Docker, name: str) -> None:
    said = docker.out("run", "-d", "--name", name, "nano", "sleep", "1h")
    assert re.fullmatch(r"[0-9a-f]{64}\n", said)
    assert docker.state(said.strip()) == "running"


def test_settings_reach_the_guest(docker: Docker, name: str) -> None:
    settings = ("-e", "A=1 2", "-w", "/srv", "-u", "nobody", "--hostname", "box", "-l", "tier=web", "--name", name)
    said = docker.out("run", *settings, "nano", "sh", "-c", 'echo "$A"; pwd; whoami; hostname')
    assert said.splitlines() == ["1 2", "/srv", "nobody", "box"]
    found = json.loads(docker.out("inspect", name))[0]
    assert found["Config"]["Labels"] == {"tier": "web"}
    assert (found["Config"]["Hostname"], found["Config"]["User"]) == ("box", "nobody")
    assert found["Config"]["WorkingDir"] == "/srv"
    assert found["Name"] == f"/{name}"


def test_how_much_output_is_kept(docker: Docker, name: str) -> None:
    numbers = list(map(str, range(100, 300)))
    script = f"for number in {' '.join(numbers)}; do echo $number; done"
    said = docker.out(
        "run", "--name", name, "--log-opt", "max-size=100", "--log-opt", "max-file=2", "nano", "sh", "-c", script
    )
    assert said.split() == numbers
    kept = docker.out("logs", name).split()
    assert 40 <= len(kept) <= 50
    assert kept == numbers[-len(kept) :]
    assert docker.out("inspect", "-f", "{{json .HostConfig.LogConfig.Config}}", name) == (
        '{"max-file":"2","max-size":"100"}\n'
    )
    assert "unknown log opt 'size'" in docker.refused("create", "--log-opt", "size=1", "nano")


def test_entrypoint(docker: Docker) -> None:
    assert docker.out("run", "--rm", "--entrypoint", "echo", "nano", "x", "y") == "x y\n"


def test_resources(docker: Docker, name: str) -> None:
    docker.out("create", "--memory", "64m", "--cpus", "2", "--restart", "on-failure:3", "--name", name, "nano", "true")
    host = json.loads(docker.out("inspect", "-f", "{{json .HostConfig}}", name))
    assert (host["Memory"], host["NanoCpus"]) == (64 << 20, 2_000_000_000)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_ports(docker: Docker, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    docker.out("run", "-d", "--name", name, "-p", f"127.0.0.1:{free}:80", "-p", "53/udp", "nano", "sleep", "1h")
    assert f"80/tcp -> 127.0.0.1:{free}\n" in docker.out("port", name)
    assert docker.out("port", name, "80") == f"127.0.0.1:{free}\n"
    assert re.fullmatch(r"0\.0\.0\.0:\d+\n", docker.out("port", name, "53/udp"))
    assert f"127.0.0.1:{free}->80/tcp" in docker.out("ps", "--filter", f"name={name}", "--format", "{{.Ports}}")
    assert "No public port '81" in docker.refused("port", name, "81")


def test_a_port_that_is_taken(docker: Docker, name: str) -> None:
    docker.out("run", "-d", "--name", name, "-p", "80", "nano", "sleep", "1h")
    taken = docker.out("port", name, "80").strip()
    ran = docker("run", "--rm", "-p", f"{taken}:80", "nano", "true")
    assert ran.returncode == 125
    assert "port is already allocated" in ran.stderr


def test_volumes_and_folders(docker: Docker, tmp_path) -> None:
    (tmp_path / "given").write_text("from the host")
    assert docker.out("run", "--rm", "-v", f"{tmp_path}:/x:ro", "nano", "cat", "/x/given") == "from the host"
    docker.out("run", "--rm", "-v", "kept:/d", "nano", "sh", "-c", "echo kept > /d/file")
    mount = "type=volume,source=kept,target=/d,readonly"
    assert docker.out("run", "--rm", "--mount", mount, "nano", "cat", "/d/file") == "kept\n"
    docker.out("volume", "rm", "kept")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["--gpus", "all"], "--gpus is not supported"),
        (["--network", "host"], 'network mode "host" is not supported'),
        (["--network", "nowhere"], "network nowhere not found"),
        (["--device", "/dev/null"], "--device is not supported"),
        (["-v", "relative/path:/x"], "relative/path"),
        (["--name", "-"], "Invalid container name"),
    ],
)
def test_what_is_refused(docker: Docker, settings: list[str], said: str) -> None:
    ran = docker("run", "--rm", *settings, "nano", "true")
    assert ran.returncode == 125
    assert said in ran.stderr


def test_what_is_not_heeded_is_said(docker: Docker) -> None:
    ran = docker("run", "--rm", "--read-only", "--dns", "192.0.2.1", "nano", "true")
    assert ran.returncode == 0
    assert "WARNING: The root file system stays writable" in ran.stderr
    assert "--dns is ignored" in ran.stderr


def test_an_image_that_nothing_makes(docker: Docker) -> None:
    ran = docker("run", "nobody-makes-this", "true")
    assert ran.returncode == 125
    assert "Unable to find image 'nobody-makes-this:latest' locally" in ran.stderr
    assert "no recipe makes nobody-makes-this:latest" in ran.stderr


def test_a_missing_image_is_made(docker: Docker) -> None:
    said = docker.out("run", "--rm", "debian:12", "cat", "/etc/os-release")
    assert "ID=debian\n" in said


def test_a_terminal(docker: Docker, typist) -> None:
    person = typist("run", "-it", "--rm", "nano", "sh")
    person.expect(rb"# ")
    person.expect_size(24, 80)
    person.resize(40, 100)
    person.expect_size(40, 100)
    person.type(b"exit 4\r")
    assert person.ends() == 4


def test_detach_and_attach_again(docker: Docker, name: str, typist) -> None:
    person = typist("run", "-it", "--name", name, "nano", "sh")
    person.expect(rb"# ")
    person.type(b"here=yes\r")
    person.expect(rb"# ")
    person.type(DETACH)
    assert person.ends() == 0
    assert docker.state(name) == "running"
    again = typist("attach", name)
    again.type(b"echo still-$here\r")
    again.expect(rb"still-yes\r\n")
    again.type(b"exit 3\r")
    assert again.ends() == 3


def test_an_interrupt_goes_to_the_container(docker: Docker) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while true; do sleep 0.01; done"
    with docker.running("run", "--rm", "nano", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out) == (3, "caught\n")
