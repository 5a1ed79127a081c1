"""Looking into containers: exec, logs, top, stats, files."""

from __future__ import annotations

import json
import os
import re
import tarfile
from pathlib import Path

from tests.conftest import DEADLINE

from .conftest import Docker


class TestExec:
    def test_streams_and_code(self, docker: Docker, box: str) -> None:
        ran = docker("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9")
        assert (ran.returncode, ran.stdout, ran.stderr) == (9, "out\n", "err\n")
        assert docker("exec", box, "no-such-program").returncode == 127
        assert docker("exec", box, "/etc/passwd").returncode == 126

    def test_settings(self, docker: Docker, box: str) -> None:
        said = docker.out("exec", "-e", "A=b", "-w", "/srv", "-u", "nobody", box, "sh", "-c", "echo $A; pwd; whoami")
        assert said.splitlines() == ["b", "/srv", "nobody"]

    def test_input(self, docker: Docker, box: str) -> None:
        data = "x" * 300_000
        assert docker.out("exec", "-i", box, "cat", stdin=data) == data

    def test_detached(self, docker: Docker, box: str) -> None:
        assert docker.out("exec", "-d", box, "sh", "-c", "echo made > /tmp/made") == ""
        assert docker.out("exec", box, "sh", "-c", "while ! [ -f /tmp/made ]; do true; done; cat /tmp/made") == "made\n"

    def test_a_terminal(self, box: str, typist) -> None:
        person = typist("exec", "-it", box, "sh")
        person.expect(rb"# ")
        person.expect_size(24, 80)
        person.resize(30, 90)
        person.expect_size(30, 90)
        person.type(b"exit 3\r")
        assert person.ends() == 3

    def test_a_container_that_does_not_run(self, docker: Docker, name: str) -> None:
        docker.out("create", "--name", name, "nano", "true")
        assert "is not running" in docker.refused("exec", name, "true")


class TestLogs:
    def test_what_was_written(self, docker: Docker, name: str) -> None:
        docker("run", "--name", name, "nano", "sh", "-c", "echo one; echo two >&2; echo three")
        ran = docker("logs", name)
        assert (ran.stdout, ran.stderr) == ("one\nthree\n", "two\n")
        assert docker.out("logs", "--tail", "1", name) == "three\n"
        assert docker.out("logs", "-n", "0", name) == ""
        assert docker.out("logs", "--since", "1h", "--tail", "all", name) == "one\nthree\n"
        assert docker.out("logs", "--until", "1h", name) == ""
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one\n.*\n", docker.out("logs", "-t", name))

    def test_followed_to_the_end(self, docker: Docker, name: str) -> None:
        docker.out("run", "-d", "-i", "--name", name, "nano", "sh", "-c", "echo one; read word; echo $word")
        with docker.running("logs", "-f", name) as following:
            assert following.stdout is not None
            assert following.stdout.readline() == "one\n"
            docker("attach", name, stdin="two\n")
            assert following.communicate(timeout=DEADLINE)[0] == "two\n"
            assert following.returncode == 0


class TestSystem:
    """An image whose own system runs: its output is the serial console's."""

    def test_its_console_is_its_output(self, docker: Docker, name: str) -> None:
        docker.out("pull", "-q", "debian:12")
        with docker.running("run", "--name", name, "--hostname", "box", "debian:12") as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "Welcome to box!\n"
            docker.out("stop", name)
            assert running.wait(DEADLINE) == 0
        assert docker.out("logs", name).splitlines()[0] == "Welcome to box!"

    def test_a_person_at_its_console(self, docker: Docker, name: str, typist) -> None:
        docker.out("pull", "-q", "debian:12")
        person = typist("run", "-it", "--name", name, "debian:12")
        person.expect(rb"Welcome to ")
        person.type(b"two=2; echo typed-$two\r")
        person.expect(rb"typed-2\r\n")
        docker.out("stop", name)
        assert person.ends() == 0


class TestFiles:
    def test_both_ways(self, docker: Docker, box: str, tmp_path: Path) -> None:
        (tmp_path / "site" / "空").mkdir(parents=True)
        (tmp_path / "site" / "空" / "a").write_text("one")
        (tmp_path / "site" / "big").write_bytes(os.urandom(1_000_000))
        docker.out("cp", "site", f"{box}:/srv", cwd=tmp_path)
        docker.out("cp", "site/.", f"{box}:/srv/flat", cwd=tmp_path)
        docker.out("cp", "site/空/a", f"{box}:/srv/renamed", cwd=tmp_path)
        said = docker.out("exec", box, "cat", "/srv/site/空/a", "/srv/flat/空/a", "/srv/renamed")
        assert said == "oneoneone"
        docker.out("cp", f"{box}:/srv/flat", "back", cwd=tmp_path)
        assert (tmp_path / "back" / "big").read_bytes() == (tmp_path / "site" / "big").read_bytes()

    def test_what_is_in_a_folder(self, docker: Docker, box: str, tmp_path: Path) -> None:
        docker.out("exec", box, "sh", "-c", "mkdir -p /srv/d/in; echo 1 > /srv/d/one; echo 2 > /srv/d/in/two")
        (tmp_path / "there").mkdir()
        for target in ("there", "new"):
            docker.out("cp", f"{box}:/srv/d/.", target, cwd=tmp_path)
            found = {str(path.relative_to(tmp_path / target)) for path in (tmp_path / target).rglob("*")}
            assert found == {"one", "in", "in/two"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "there"]

    def test_links(self, docker: Docker, box: str, tmp_path: Path) -> None:
        docker.out("exec", box, "sh", "-c", "cd /srv; echo in > target; ln -s target link")
        docker.out("cp", f"{box}:/srv/link", "itself", cwd=tmp_path)
        docker.out("cp", "-L", f"{box}:/srv/link", "followed", cwd=tmp_path)
        assert (tmp_path / "itself").readlink() == Path("target")
        assert (tmp_path / "followed").read_text() == "in\n"
        (tmp_path / "target").write_text("out")
        docker.out("cp", "-L", "itself", f"{box}:/srv/copied", cwd=tmp_path)
        assert docker.out("exec", box, "cat", "/srv/copied") == "out"

    def test_through_pipes(self, docker: Docker, box: str, tmp_path: Path) -> None:
        archive = tmp_path / "a.tar"
        docker.out("exec", box, "sh", "-c", "echo one > /srv/one")
        with docker.running("cp", f"{box}:/srv", "-") as process:
            assert process.stdout is not None
            archive.write_bytes(process.stdout.buffer.read())
        with tarfile.open(archive) as tar:
            assert "srv/one" in tar.getnames()
        docker.out("cp", "-", f"{box}:/tmp", stdin=archive.read_bytes())
        assert docker.out("exec", box, "cat", "/tmp/srv/one") == "one\n"

    def test_a_container_that_does_not_run(self, docker: Docker, name: str, tmp_path: Path) -> None:
        docker.out("create", "--name", name, "nano", "cat", "/srv/given")
        (tmp_path / "given").write_text("before the start")
        docker.out("cp", str(tmp_path / "given"), f"{name}:/srv")
        assert docker.out("start", "-a", name) == "before the start"
        docker.out("cp", f"{name}:/srv/given", str(tmp_path / "taken"))
        assert (tmp_path / "taken").read_text() == "before the start"

    def test_what_is_not_there(self, docker: Docker, box: str, tmp_path: Path) -> None:
        assert "/nope" in docker.refused("cp", f"{box}:/nope", str(tmp_path))
        assert list(tmp_path.iterdir()) == []
        assert "/no/such" in docker.refused("cp", __file__, f"{box}:/no/such/folder")

    def test_diff_and_commit(self, docker: Docker, box: str) -> None:
        docker.out("exec", box, "touch", "/srv/new")
        docker.out("exec", box, "rm", "/etc/hostname")
        assert {"A /srv/new", "D /etc/hostname", "C /srv", "C /etc"} <= set(docker.out("diff", box).splitlines())
        said = docker.out("commit", "-m", "note", "-a", "me", "-c", 'CMD ["ls", "/srv"]', "-c", "ENV A=b", box, "web:1")
        assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", said)
        assert docker.out("run", "--rm", "web:1") == "new\n"
        found = json.loads(docker.out("image", "inspect", "web:1"))[0]
        assert (found["Comment"], found["Author"]) == ("note", "me")
        assert "A=b" in found["Config"]["Env"]
        assert "note" in docker.out("history", "web:1")
        docker.out("rmi", "web:1")


class TestProcesses:
    def test_top(self, docker: Docker, box: str) -> None:
        titles, *rows = docker.out("top", box).splitlines()
        assert titles.split()[0] == "PID"
        assert any(row.endswith("sleep 1h") for row in rows)
        assert docker.out("top", box, "-ef").splitlines()[0] == titles

    def test_stats(self, docker: Docker, box: str) -> None:
        said = docker.out("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}", box)
        assert re.fullmatch(rf"{box} [\d.]+% [\d.]+MiB / 128MiB \d+\n", said)
