"""The main job, on real guests: the command line and the docker client against a daemon with QEMU."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Typist
from tests.integration.hosts import FOREVER, IREKO, LIMIT, PATIENT, Host

from ireko.host.files import disk_bytes

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def web(host: Host) -> str:
    """A container that runs, for all tests that leave it as it was."""
    host.out("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "-e", "WHO=入れ子", "nano", *FOREVER)
    return "web"


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_code_comes_home(host: Host, command: str, code: int) -> None:
    done = host("run", "--rm", "nano", "sh", "-c", f"echo out; echo err >&2; {command}")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"out\n", b"err\n")
    assert host.out("ps", "-aq", "--filter", "ancestor=nano", "--filter", "status=exited") == ""


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc", 126)])
def test_what_can_t_be_started(host: Host, program: str, code: int) -> None:
    done = host("run", "--rm", "nano", program)
    assert done.returncode == code
    assert program.encode() in done.stderr


def test_input_and_settings(host: Host) -> None:
    words = ("run", "--rm", "-i", "-e", "A=b c", "-w", "/srv/new", "-u", "nobody", "--hostname", "box", "nano")
    done = host.out(*words, "sh", "-c", "cat; echo $A; pwd; id -un; hostname", stdin=b"typed\n")
    assert done.splitlines() == ["typed", "b c", "/srv/new", "nobody", "box"]


def test_programs_in_a_running_guest(host: Host, web: str) -> None:
    assert host.out("exec", web, "sh", "-c", "echo $WHO; cat /etc/hostname").splitlines()[0] == "入れ子"
    assert host("exec", "-i", web, "cat", stdin=b"\x00\xff" * 1000).stdout == b"\x00\xff" * 1000
    assert host("exec", web, "sh", "-c", "exit 9").returncode == 9
    assert host("exec", web, "no-such-program").returncode == 127
    assert "sleep" in host.out("top", web)
    assert "web" in host.out("stats", "--no-stream", web)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_person_at_a_terminal(host: Host, web: str, sit_down: Callable[..., Typist], verb: str) -> None:
    words = ["exec", "-it", web] if verb == "exec" else ["run", "-it", "--rm", "nano"]
    person = sit_down([*IREKO, "-H", host.daemon.address, *words, "sh"])
    person.resize(33, 101)
    person.expect(rb"# ")
    person.expect_size(33, 101)
    person.expect(rb"# ")
    person.type(b"sh -c 'echo st\"\"arted; exec sleep 1000'\r")
    person.expect(rb"started\r\n")
    person.type(b"\x03")
    person.expect(rb"\^C(?s:.)*# ")
    person.type(b"exit 4\r")
    assert person.ends() == 4


def test_files_both_ways(host: Host, web: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    host.out("cp", str(tmp_path / "file"), f"{web}:/srv/")
    host.out("cp", f"{web}:/srv/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_published_port_answers(host: Host, web: str) -> None:
    host.out("exec", web, "sh", "-c", "mkdir -p /www && echo hello > /www/index.html && httpd -h /www -p 80")
    address = host.out("port", web, "80").strip()
    with urllib.request.urlopen(f"http://{address}/index.html", timeout=LIMIT) as answer:
        assert answer.read() == b"hello\n"


def test_a_commit_of_a_running_container(host: Host) -> None:
    host.out("run", "-d", "--name", "source", "nano", *FOREVER)
    host.out("exec", "source", "sh", "-c", "echo before > /root/note")
    host.out("commit", "source", "note:1")
    host.out("exec", "source", "sh", "-c", "echo after > /root/note")
    assert host.out("run", "--rm", "note:1", "cat", "/root/note") == "before\n"
    assert host.out("exec", "source", "cat", "/root/note") == "after\n"
    assert host.out("diff", "source").splitlines() == ["C /root", "A /root/note"]
    tree = host.out("tree")
    assert "note:1" in tree
    assert "source" in tree
    host.out("rm", "-f", "source")
    assert host.out("run", "--rm", "note:1", "cat", "/root/note") == "before\n"


def test_stop_start_and_what_is_kept(host: Host) -> None:
    host.out(
        "run", "-d", "--name", "box", "nano", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; sleep 1000000 & wait"
    )
    host.out("exec", "box", "sh", "-c", "echo kept > /root/note; sync")
    host.out("stop", *PATIENT, "box")
    assert host.inspect("box")["State"]["ExitCode"] == 3
    assert host.out("logs", "box") == "up\nbye\n"
    host.out("start", "box")
    assert host.out("exec", "box", "cat", "/root/note") == "kept\n"
    host.out("exec", "box", "sh", "-c", "echo more >> /root/note")
    host.out("kill", "box")
    host.out("start", "box")
    assert host.out("exec", "box", "cat", "/root/note") == "kept\nmore\n"
    host.out("pause", "box")
    assert host.inspect("box")["State"]["Status"] == "paused"
    host.out("unpause", "box")
    host.out("recreate", "box")
    assert host("exec", "box", "cat", "/root/note").returncode == 1
    host.out("rm", "-f", "box")


def test_a_volume_outlives_its_containers(host: Host) -> None:
    for _ in range(2):
        host.out("run", "--rm", "-v", "data:/data", "nano", "sh", "-c", "echo line >> /data/file")
    assert host.out("run", "--rm", "-v", "data:/data:ro", "nano", "cat", "/data/file") == "line\n" * 2
    assert host("run", "--rm", "-v", "data:/data:ro", "nano", "touch", "/data/new").returncode == 1
    host.out("run", "-d", "--name", "cut", "-v", "data:/data", "nano", *FOREVER)
    host.out("exec", "cut", "sh", "-c", "echo last >> /data/file")
    host.out("rm", "-f", "cut")
    assert host.out("run", "--rm", "-v", "data:/data:ro", "nano", "tail", "-n", "1", "/data/file") == "last\n"
    host.out("volume", "rm", "data")


def test_a_folder_of_the_host(host: Host, tmp_path: Path) -> None:
    (tmp_path / "日本 語").write_text("here\n")
    done = host("run", "--rm", "-v", f"{tmp_path}:/host:ro", "nano", "cat", "/host/日本 語")
    assert (done.returncode, done.stdout) == (0, b"here\n")


def test_a_daemon_that_is_killed_finds_its_machines(host: Host) -> None:
    host.out("run", "-d", "--name", "outlives", "nano", "sh", "-c", "while :; do echo tick; sleep 0.2; done")
    host.daemon.process.kill()
    host.daemon.process.wait(LIMIT)
    host.daemon.start()
    assert host.inspect("outlives")["State"]["Status"] == "running"
    assert host.out("exec", "outlives", "echo", "yes") == "yes\n"
    assert host.out("logs", "--tail", "1", "outlives") == "tick\n"
    host.out("rm", "-f", "outlives")


LINES = 30_000


def check_log(host: Host, name: str) -> None:
    """Of the numbers that were written only the oldest have gone, and the disk has room for the rest alone."""
    log = host.out("logs", name).split()
    assert 5_000 < len(log) < LINES
    assert log == [str(number) for number in range(LINES - len(log) + 1, LINES + 1)]
    assert host.out("logs", "--tail", "3", name).split() == log[-3:]
    path = host.root / "containers" / host.inspect(name)["Id"] / "stdout.log"
    assert disk_bytes(path) < 80_000 < path.stat().st_size


@pytest.mark.parametrize("way", [(), ("-t",)], ids=["pipes", "terminal"])
def test_of_a_long_log_the_oldest_lines_go(host: Host, way: tuple[str, ...]) -> None:
    limit = ("--log-opt", "max-size=32k", "--log-opt", "max-file=2")
    said = host.out("run", "--name", "much", *way, *limit, "nano", "seq", str(LINES))
    assert said.split() == [str(number) for number in range(1, LINES + 1)]
    check_log(host, "much")
    host.out("rm", "much")


def test_a_log_that_grew_without_a_daemon_is_cut_by_the_next(host: Host) -> None:
    name = host.out("run", "-d", "--name", "alone", "--log-opt", "max-size=64k", "nano", "seq", str(LINES)).strip()
    (process,) = (pid for pid, line in host.processes().items() if name in line)
    os.kill(process, signal.SIGSTOP)  # a quick guest would have ended before the daemon has
    machine = os.pidfd_open(process)
    host.daemon.stop()
    os.kill(process, signal.SIGCONT)
    assert select.select([machine], [], [], LIMIT)[0]
    os.close(machine)
    host.daemon.start()
    check_log(host, "alone")
    host.out("rm", "alone")


@pytest.mark.docker
def test_the_docker_client(host: Host, docker_client: str, tmp_path: Path) -> None:
    def docker(*argv: str, stdin: bytes = b"") -> str:
        words = [docker_client, "-H", host.daemon.address, *argv]
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    assert docker("run", "--rm", "-i", "nano", "cat", stdin=b"through docker\n") == "through docker\n"
    docker("run", "-d", "--name", "whale", "nano", "sh", "-c", "echo started; sleep 1000000")
    assert "whale" in docker("ps")
    assert docker("exec", "whale", "sh", "-c", "echo in > /root/note; cat /root/note") == "in\n"
    docker("cp", "whale:/root/note", str(tmp_path))
    assert (tmp_path / "note").read_text() == "in\n"
    docker("commit", "whale", "whale:1")
    assert docker("run", "--rm", "whale:1", "cat", "/root/note") == "in\n"
    assert docker("logs", "whale") == "started\n"
    docker("rm", "-f", "whale")


@pytest.mark.root
def test_a_full_disk_pauses_the_guest_and_nothing_is_lost(nano_root: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128M", "small", str(tmp_path)], check=True)
    small = Host(nano_root, tmp_path)
    try:
        write = "dd if=/dev/urandom of=/root/data bs=1M count=100 conv=fsync 2>/dev/null && sha1sum /root/data"
        small.out("run", "-d", "--name", "writer", "nano", "sh", "-c", write)
        events = (*IREKO, "-H", small.daemon.address, "events", "--since", "1", "--filter", "event=pause")
        with subprocess.Popen(events, stdout=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            assert b"pause" in watching.stdout.readline()
            watching.terminate()
        state = small.inspect("writer")["State"]
        assert state["Status"] == "paused"
        assert "full" in state["Error"]
        subprocess.run(["mount", "-o", "remount,size=512M", str(tmp_path)], check=True)
        small.out("unpause", "writer")
        assert small.out("wait", "writer") == "0\n"
        digest = small.out("logs", "writer").split()[0]
        assert small.out("commit", "writer", "written:1")
        assert small.out("run", "--rm", "written:1", "sha1sum", "/root/data").split()[0] == digest
    finally:
        small.close()
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_whole_debian(host: Host) -> None:
    host.out("image", "make", "debian")
    host.out("run", "-d", "--name", "server", "debian")
    assert host.out("exec", "server", "sh", "-c", ". /etc/os-release; echo $ID $VERSION_ID") == "debian 12\n"
    up = "until systemctl is-active --quiet systemd-journald 2>/dev/null; do sleep 0.2; done"
    host.out("exec", "server", "bash", "-c", f"echo kept > /root/note; {up}")
    host.out("commit", "server", "server:1")
    assert host.out("run", "--rm", "server:1", "cat", "/root/note") == "kept\n"
    host.out("stop", *PATIENT, "server")
    assert host.inspect("server")["State"]["ExitCode"] == 0
    # one that has only begun to start ends as well
    host.out("start", "server")
    host.out("stop", *PATIENT, "server")
    assert host.inspect("server")["State"]["ExitCode"] == 0
    host.out("rm", "server")


def test_an_archive_through_a_pipe(host: Host) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("from-a-pipe")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    host.out("create", "--name", "stopped", "nano", "cat", "/srv/from-a-pipe")
    host.out("cp", "-", "stopped:/srv", stdin=buffer.getvalue())
    assert host.out("start", "-a", "stopped") == "abc"
    host.out("rm", "stopped")


def test_nothing_is_left_behind(host: Host) -> None:
    """The last test: it ends what the others shared."""
    for identifier in host.out("ps", "-aq").split():
        host.out("rm", "-f", identifier)
    assert host.processes() == {}
    assert list((host.root / "containers").iterdir()) == []
    assert list((host.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("disk_format", ["qcow2", "vhdx"])
def test_a_promoted_container_runs_without_a_daemon(host: Host, tmp_path: Path, disk_format: str) -> None:
    host.out("run", "--name", "leaver", "nano", "sh", "-c", "cat /kept 2>/dev/null && exit 7; echo yes > /kept; sync")
    said = host.out("promote", "--format", disk_format, "--move", "leaver", str(tmp_path / "machine"))
    assert said == f"{tmp_path / 'machine'}\n"
    assert host.out("ps", "-aq", "--filter", "name=leaver") == ""
    moved = (tmp_path / "machine").rename(tmp_path / "moved")
    ran = subprocess.run(moved / "start.sh", stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    assert (ran.returncode, ran.stdout.replace(b"\r", b"")) == (7, b"yes\n"), ran.stderr
