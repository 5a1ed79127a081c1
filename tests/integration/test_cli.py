"""The command line as a process, against a daemon as a process, on the fake driver."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import DEADLINE

IREKO = (sys.executable, "-m", "ireko")
DETACH = b"\x10\x11"
PROMPT = rb"# "
"""What a shell inside shows once the terminal is connected: what is typed before that goes through ours."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drives terminals and signals")


@dataclass
class Daemon:
    """A daemon of our own, and command lines against it."""

    address: str

    @contextlib.contextmanager
    def running(self, *argv: str, **options: int) -> Iterator[subprocess.Popen[bytes]]:
        """A command line that goes on; it is ended with the block."""
        with subprocess.Popen([*IREKO, "-H", self.address, *argv], **options) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()

    def __call__(self, *argv: str, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*IREKO, "-H", self.address, *argv],
            input=stdin,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            cwd=cwd,
        )

    def out(self, *argv: str, stdin: bytes = b"", cwd: Path | None = None) -> str:
        """Standard output of a command line that must succeed."""
        done = self(*argv, stdin=stdin, cwd=cwd)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *argv: str) -> list[dict]:
        return json.loads(self.out("inspect", *argv))


@pytest.fixture(scope="module")
def daemon(daemon_process) -> Daemon:
    made = Daemon(daemon_process.address)
    made.out("image", "make", "nano")
    return made


@pytest.fixture
def box(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[str]:
    """A running container with a name of its own."""
    name = re.sub(r"\W", "-", request.node.name)[:40]
    daemon.out("run", "-d", "--name", name, "nano", "sleep", "1h")
    yield name
    daemon("rm", "-f", name)


@pytest.fixture
def typist(daemon: Daemon, sit_down):
    return lambda *argv: sit_down([*IREKO, "-H", daemon.address, *argv])


class TestRun:
    def test_streams_and_code_are_the_command_s(self, daemon: Daemon) -> None:
        done = daemon("run", "--rm", "nano", "sh", "-c", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    @pytest.mark.parametrize("_turn", range(10))
    def test_a_quick_command_loses_nothing(self, daemon: Daemon, _turn: int) -> None:
        assert daemon.out("run", "--rm", "nano", "echo", "入れ子") == "入れ子\n"

    def test_input_reaches_the_command_and_its_end_too(self, daemon: Daemon) -> None:
        data = bytes(range(256)) * 2000
        assert daemon("run", "-i", "--rm", "nano", "cat", stdin=data).stdout == data

    @pytest.mark.parametrize(("command", "code"), [(["no-such-program"], 127), (["/etc/passwd"], 126)])
    def test_a_command_that_can_t_be_started(self, daemon: Daemon, command: list[str], code: int) -> None:
        done = daemon("run", "--rm", "nano", *command)
        assert done.returncode == code
        assert command[0] in done.stderr.decode()

    @pytest.mark.parametrize(
        "argv", [["run", "--no-such-flag", "nano"], ["run", "nobody-makes-this"], ["run", "-it", "nano"]]
    )
    def test_our_own_errors_are_125(self, daemon: Daemon, argv: list[str]) -> None:
        assert daemon(*argv).returncode == 125

    def test_a_missing_image_is_made_and_said(self, daemon: Daemon) -> None:
        daemon("rmi", "-f", "debian:12")  # other tests make it, too
        done = daemon("run", "--rm", "debian:12", "cat", "/etc/os-release")
        assert done.returncode == 0, done.stderr
        assert b"ID=debian\n" in done.stdout
        first, second, *_ = done.stderr.decode().splitlines()
        assert first == "Unable to find image 'debian:12' locally"
        assert 'recipe "debian"' in second

    def test_rm_leaves_nothing(self, daemon: Daemon) -> None:
        daemon.out("run", "--rm", "--name", "gone", "nano", "true")
        assert "gone" not in daemon.out("ps", "-a", "--format", "{{.Names}}").split()

    def test_detached_prints_the_id_and_goes_on(self, daemon: Daemon) -> None:
        identifier = daemon.out("run", "-d", "--rm", "nano", "sleep", "1h").strip()
        assert re.fullmatch(r"[0-9a-f]{64}", identifier)
        assert daemon.out("inspect", "-f", "{{.State.Status}}", identifier) == "running\n"
        daemon.out("rm", "-f", identifier)

    def test_settings_reach_the_guest(self, daemon: Daemon) -> None:
        script = 'echo "$A $B"; pwd; hostname; whoami'
        said = daemon.out(
            "run",
            "--rm",
            "-e",
            "A=1 2",
            "-e",
            "B=ü",
            "-w",
            "/srv",
            "-h",
            "box",
            "-u",
            "nobody",
            "nano",
            "sh",
            "-c",
            script,
        )
        assert said.splitlines() == ["1 2 ü", "/srv", "box", "nobody"]

    def test_an_interrupt_goes_to_the_container(self, daemon: Daemon) -> None:
        # A shell runs its traps between commands, so it is given many short ones.
        script = "trap 'echo caught; exit 3' INT; echo ready; while true; do sleep 0.01; done"
        with daemon.running("run", "--rm", "nano", "sh", "-c", script, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=DEADLINE)
            assert (process.returncode, out) == (3, b"caught\n")

    def test_without_proxy_an_interrupt_leaves_it_running(self, daemon: Daemon) -> None:
        command = ("run", "--sig-proxy=false", "--name", "stays", "nano", "sh", "-c", "echo ready; sleep 1h")
        with daemon.running(*command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE)
            assert process.returncode == 130
        assert daemon.out("inspect", "-f", "{{.State.Running}}", "stays") == "true\n"
        daemon.out("rm", "-f", "stays")

    def test_start_attached(self, daemon: Daemon) -> None:
        daemon.out("create", "-i", "--name", "later", "nano", "sh", "-c", "cat; exit 5")
        done = daemon("start", "-ai", "later", stdin=b"typed")
        assert (done.returncode, done.stdout) == (5, b"typed")
        assert daemon.out("wait", "later") == "5\n"
        daemon.out("rm", "later")


class TestTerminal:
    def test_a_shell(self, typist) -> None:
        person = typist("run", "-it", "--rm", "nano", "sh")
        person.type(b"stty size; exit 4\r")
        person.expect(rb"24 80\r\n")
        assert person.ends() == 4

    def test_size_follows(self, daemon: Daemon, box: str, typist) -> None:
        person = typist("exec", "-it", box, "sh")
        person.expect_size(24, 80)
        person.resize(40, 100)
        person.expect_size(40, 100)
        person.type(b"exit\r")
        assert person.ends() == 0

    def test_detach_and_attach_again(self, daemon: Daemon, typist) -> None:
        person = typist("run", "-it", "--name", "shell", "nano", "sh")
        person.type(b"here=yes; echo one-$here\r")
        person.expect(rb"one-yes\r\n")
        person.type(DETACH)
        assert person.ends() == 0
        assert daemon.out("inspect", "-f", "{{.State.Running}}", "shell") == "true\n"
        again = typist("attach", "--detach-keys", "ctrl-x", "shell")
        again.type(b"echo two-$here\r")
        again.expect(rb"two-yes\r\n")
        again.type(b"\x18")
        again.expect(rb"read escape sequence")
        assert again.process.wait(DEADLINE) == 1
        daemon.out("rm", "-f", "shell")

    def test_attach_to_a_system_is_its_console(self, daemon: Daemon, typist) -> None:
        daemon.out("run", "-d", "--name", "system", "debian:12")
        person = typist("attach", "system")
        person.type(b"two=2; echo typed-$two\r")
        person.expect(rb"typed-2\r\n")
        person.type(DETACH)
        person.expect(rb"read escape sequence")
        assert daemon("attach", "--no-stdin", "nobody").returncode == 1
        daemon.out("rm", "-f", "system")

    def test_detach_from_exec_leaves_the_container(self, daemon: Daemon, box: str, typist) -> None:
        person = typist("exec", "-it", box, "sh")
        person.expect(PROMPT)
        person.type(DETACH)
        person.expect(rb"read escape sequence")
        assert person.process.wait(DEADLINE) == 1
        assert daemon.out("inspect", "-f", "{{.State.Running}}", box) == "true\n"

    def test_the_terminal_is_put_back(self, daemon: Daemon, box: str, typist) -> None:
        import termios

        person = typist("exec", "-it", box, "sh")
        person.expect(PROMPT)
        assert not termios.tcgetattr(person.master)[3] & termios.ECHO
        person.process.send_signal(signal.SIGTERM)
        assert person.process.wait(DEADLINE) == 128 + signal.SIGTERM
        assert termios.tcgetattr(person.master)[3] & termios.ECHO

    def test_progress_on_a_terminal_without_a_size(self, daemon: Daemon, typist) -> None:
        person = typist("image", "make", "debian", "-t", "debian:again")
        person.resize(0, 0)
        person.expect(rb"debian: storing")
        assert person.ends() == 0

    def test_progress_is_in_place(self, daemon: Daemon, typist) -> None:
        person = typist("image", "make", "nano", "-t", "nano:again")
        person.expect(rb"sha256:[0-9a-f]{64}\r\n")
        assert person.ends() == 0


class TestExec:
    def test_streams_and_code(self, daemon: Daemon, box: str) -> None:
        done = daemon("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9")
        assert (done.returncode, done.stdout, done.stderr) == (9, b"out\n", b"err\n")

    def test_input_and_settings(self, daemon: Daemon, box: str) -> None:
        assert daemon("exec", "-i", box, "cat", stdin=b"x" * 300_000).stdout == b"x" * 300_000
        assert daemon.out("exec", "-e", "A=b", "-w", "/tmp", box, "sh", "-c", "echo $A; pwd") == "b\n/tmp\n"

    def test_codes(self, daemon: Daemon, box: str) -> None:
        assert daemon("exec", box, "no-such-program").returncode == 127
        assert daemon("exec", "nobody", "true").returncode == 1
        assert daemon("exec", box).returncode == 1
        assert daemon.out("exec", "-d", box, "touch", "/tmp/made") == ""


class TestCopy:
    def test_both_ways_and_through_pipes(self, daemon: Daemon, box: str, tmp_path: Path) -> None:
        (tmp_path / "site" / "空").mkdir(parents=True)
        (tmp_path / "site" / "空" / "a").write_bytes(b"one")
        (tmp_path / "site" / "big").write_bytes(os.urandom(1_000_000))
        daemon.out("cp", "site", f"{box}:/srv", cwd=tmp_path)
        daemon.out("cp", "site/.", f"{box}:/srv/flat", cwd=tmp_path)
        assert daemon.out("exec", box, "cat", "/srv/site/空/a", "/srv/flat/空/a") == "oneone"
        daemon.out("cp", f"{box}:/srv/flat", "back", cwd=tmp_path)
        assert (tmp_path / "back" / "big").read_bytes() == (tmp_path / "site" / "big").read_bytes()
        daemon.out("cp", f"{box}:/srv/flat/.", "new", cwd=tmp_path)
        assert (tmp_path / "new" / "空" / "a").read_bytes() == b"one"
        archive = daemon("cp", f"{box}:/srv/site", "-").stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            assert "site/空/a" in tar.getnames()
        daemon.out("cp", "-", f"{box}:/tmp", stdin=archive)
        assert daemon.out("exec", box, "cat", "/tmp/site/空/a") == "one"

    def test_what_fails_is_said_and_nothing_is_left(self, daemon: Daemon, box: str, tmp_path: Path) -> None:
        done = daemon("cp", f"{box}:/nope", ".", cwd=tmp_path)
        assert done.returncode == 1
        assert b"/nope" in done.stderr
        assert list(tmp_path.iterdir()) == []


class TestLists:
    def test_ps_and_inspect(self, daemon: Daemon, box: str) -> None:
        row = json.loads(daemon.out("ps", "--format", "json", "-f", f"name={box}"))
        assert (row["Names"], row["Image"], row["State"], row["Command"]) == (box, "nano", "running", '"sleep 1h"')
        assert row["Status"].startswith("Up ")
        assert daemon.json(box)[0]["Config"]["Cmd"] == ["sleep", "1h"]

    def test_a_closed_pipe_is_quiet(self, daemon: Daemon, box: str) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with daemon.running("ps", stdout=writing, stderr=subprocess.PIPE) as process:
            os.close(writing)
            _, err = process.communicate(timeout=DEADLINE)
            assert (process.returncode, err) == (141, b"")

    def test_any_locale_shows_any_name(self, daemon: Daemon) -> None:
        daemon.out("run", "-d", "--rm", "--name", "wide", "-l", "名=入れ子", "nano", "sleep", "1h")
        shown = subprocess.run(
            [*IREKO, "-H", daemon.address, "ps", "--format", "{{.Labels}}", "-f", "name=wide"],
            env={**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            capture_output=True, check=True, timeout=DEADLINE,
        )  # fmt: skip
        assert shown.stdout.decode() == "名=入れ子\n"
        daemon.out("rm", "-f", "wide")

    def test_logs_follow_until_the_end_or_an_interrupt(self, daemon: Daemon, box: str) -> None:
        daemon.out("run", "--name", "wrote", "nano", "sh", "-c", "echo a; echo b; echo c")
        assert daemon.out("logs", "--tail", "2", "wrote") == "b\nc\n"
        assert daemon.out("logs", "-f", "wrote") == "a\nb\nc\n"
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT[\d:.]+Z a\n", daemon.out("logs", "-t", "wrote").splitlines(keepends=True)[0]
        )
        daemon.out("rm", "wrote")

    @pytest.mark.parametrize("verb", ["events", "stats"])
    def test_what_streams_ends_quietly_with_130(self, daemon: Daemon, box: str, verb: str) -> None:
        argv = ["events", "--since", "1"] if verb == "events" else ["stats", box]
        with daemon.running(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=DEADLINE)
            assert (process.returncode, err) == (130, b"")

    def test_commit_tree_diff_and_the_rest(self, daemon: Daemon, box: str) -> None:
        daemon.out("exec", box, "touch", "/srv/new")
        assert "A /srv/new" in daemon.out("diff", box).splitlines()
        assert daemon.out("commit", "-m", "note", box, "web:1").startswith("sha256:")
        assert "web" in daemon.out("images", "--format", "{{.Repository}}").split()
        assert "image web:1" in daemon.out("tree")
        assert daemon.out("run", "--rm", "web:1", "ls", "/srv") == "new\n"
        assert "note" in daemon.out("history", "web:1")
        assert "sleep" in daemon.out("top", box)
        assert daemon.out("stats", "--no-stream", "--format", "{{.Name}}", box) == f"{box}\n"
        assert "Images" in daemon.out("system", "df")
        assert daemon.out("recreate", box) == f"{box}\n"
        assert daemon.out("exec", box, "ls", "/srv") == ""
        daemon.out("rmi", "web:1")

    def test_life(self, daemon: Daemon, box: str) -> None:
        for verb, status in (("pause", "paused"), ("unpause", "running"), ("restart", "running"), ("kill", "exited")):
            assert daemon.out(verb, box) == f"{box}\n"
            assert daemon.out("wait", box) if verb == "kill" else True
            assert daemon.out("inspect", "-f", "{{.State.Status}}", box) == f"{status}\n"
        daemon.out("start", box)
        daemon.out("rename", box, f"{box}-x")
        assert daemon.out("stop", "-t", "1", f"{box}-x") == f"{box}-x\n"
        daemon.out("rm", f"{box}-x")

    def test_volumes(self, daemon: Daemon) -> None:
        assert daemon.out("volume", "create", "--label", "a=b", "data") == "data\n"
        assert daemon.out("volume", "ls", "-q") == "data\n"
        assert json.loads(daemon.out("volume", "inspect", "data"))[0]["Labels"] == {"a": "b"}
        daemon.out("volume", "rm", "data")

    @pytest.mark.parametrize("argv", [["version"], ["info"], ["doctor"], ["image", "recipes"], ["system", "df", "-v"]])
    def test_the_system_is_shown(self, daemon: Daemon, argv: list[str]) -> None:
        assert daemon.out(*argv)


class TestOnDemand:
    """The daemon that a command line starts for itself."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Iterator[dict[str, str]]:
        env = {key: value for key, value in os.environ.items() if key != "IREKO_HOST"}
        env |= {"IREKO_HOME": str(tmp_path), "IREKO_DRIVER": "fake"}
        yield env
        subprocess.run([*IREKO, "serve", "--stop"], env=env, timeout=DEADLINE, check=False, capture_output=True)

    def test_eight_at_once_start_one_daemon(self, home: dict[str, str], tmp_path: Path) -> None:
        clients = [
            subprocess.Popen(
                [*IREKO, "info", "--format", "{{.ID}}"], env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(8)
        ]
        ends = [(client.communicate(timeout=DEADLINE), client.returncode) for client in clients]
        assert {code for _, code in ends} == {0}, ends
        assert (tmp_path / "daemon.log").read_text().count("serving on") == 1

    def test_an_explicit_address_starts_nothing(self, home: dict[str, str], tmp_path: Path) -> None:
        address = f"unix://{tmp_path / 'ireko.sock'}"
        for argv, extra in ((["-H", address, "ps"], {}), (["ps"], {"IREKO_HOST": address})):
            done = subprocess.run([*IREKO, *argv], env=home | extra, capture_output=True, timeout=DEADLINE, check=False)
            assert done.returncode == 1
            assert b"Cannot connect to the ireko daemon" in done.stderr
        assert not (tmp_path / "daemon.log").exists()

    def test_a_daemon_that_does_not_start_is_explained(self, home: dict[str, str]) -> None:
        done = subprocess.run(
            [*IREKO, "ps"], env=home | {"IREKO_DRIVER": "abacus"}, capture_output=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 1
        assert b"the daemon did not start" in done.stderr
        assert b"abacus" in done.stderr

    def test_stop_ends_it_and_the_next_command_starts_another(self, home: dict[str, str]) -> None:
        for _ in range(2):
            subprocess.run([*IREKO, "ps"], env=home, timeout=DEADLINE, check=True, capture_output=True)
            subprocess.run([*IREKO, "serve", "--stop"], env=home, timeout=DEADLINE, check=True, capture_output=True)
