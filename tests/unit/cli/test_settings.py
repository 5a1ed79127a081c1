"""What `run` and `create` ask the daemon for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ireko.cli.detach import DetachFilter, parse_keys
from ireko.cli.ports import bindings
from ireko.cli.settings import environment
from ireko.errors import InvalidInput

CREATED = json.dumps({"Id": "f" * 64, "Warnings": ["it is slow"]}).encode()


def created(cli, *argv: str) -> dict:
    cli.transport.answers["POST /containers/create"] = CREATED
    ran = cli("create", *argv)
    assert (ran.code, ran.out) == (0, "f" * 64 + "\n"), ran.err
    return json.loads(cli.transport.requests[-1].body)


def test_everything_that_create_takes(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env").write_text("# c\nA=file\n  B=x y\nUNSET_HERE\n", encoding="utf-8")
    body = created(
        cli, "-it", "-e", "A=1", "-e", "OURS", "-e", "NOT_SET", "--env-file", "env", "-p", "8080:80", "--expose", "53/udp", "-m",
        "512m", "--cpus=1.5", "-v", "./x:/y:ro", "-v", "data:/data", "-v", "/anon", "--mount", "type=bind,src=/a,dst=/b,readonly",
        "-w", "/srv", "-u", "1000", "--entrypoint", "", "-h", "box", "--restart", "on-failure:3", "--stop-timeout", "5",
        "--stop-signal", "INT", "-l", "k=v", "-l", "alone", "--log-opt", "max-size=10m",
        "--log-opt=max-file=3", "debian:12", "sh", "-c", "echo --rm -t=false",
    )  # fmt: skip
    assert body["Image"] == "debian:12"
    assert body["Cmd"] == ["sh", "-c", "echo --rm -t=false"]
    assert body["Entrypoint"] == [""]
    assert body["Env"] == ["A=file", "B=x y", "A=1", "OURS=1"]
    assert body["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}
    assert body["Labels"] == {"k": "v", "alone": ""}
    assert (body["WorkingDir"], body["User"], body["Hostname"]) == ("/srv", "1000", "box")
    assert (body["Tty"], body["OpenStdin"], body["StdinOnce"], body["AttachStdin"]) == (True, True, True, True)
    assert (body["StopSignal"], body["StopTimeout"], body["Volumes"]) == ("INT", 5, {"/anon": {}})
    host = body["HostConfig"]
    assert host["Binds"] == [f"{tmp_path}/x:/y:ro", "data:/data"]
    assert host["Mounts"] == [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}]
    assert (host["Memory"], host["NanoCpus"]) == (512 << 20, 1_500_000_000)
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"] == {"Type": "", "Config": {"max-size": "10m", "max-file": "3"}}
    assert not host["AutoRemove"]


def test_what_is_not_asked_for_is_left_to_the_image(cli) -> None:
    body = created(cli, "nano")
    assert body["Cmd"] is None
    assert body["Entrypoint"] is None
    assert "StopTimeout" not in body
    assert "StopSignal" not in body
    assert (body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]) == (False, True, True)


def test_flags_may_have_values(cli) -> None:
    assert created(cli, "--rm=true", "-t=false", "--tty=false", "nano")["HostConfig"]["AutoRemove"]
    assert not cli.transport.requests[-1].body.count(b'"Tty": true')


def test_warnings_go_to_the_person(cli) -> None:
    cli.transport.answers["POST /containers/create"] = CREATED
    assert cli("create", "nano").err == "WARNING: it is slow\n"


def test_cidfile_is_written_once(cli, tmp_path: Path) -> None:
    created(cli, "--cidfile", str(tmp_path / "id"), "nano")
    assert (tmp_path / "id").read_text() == "f" * 64
    assert cli("create", "--cidfile", str(tmp_path / "id"), "nano").code == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--restart", "sometimes", "nano"], "invalid restart policy"),
        (["-p", "80:", "nano"], "invalid port"),
        (["-p", "99999:80", "nano"], "invalid port"),
        (["-p", "1-3:1-2", "nano"], "invalid ranges"),
        (["-m", "much", "nano"], "invalid size"),
        (["--mount", "type=bind,src=/a", "nano"], "target is required"),
        (["--mount", "colour=red", "nano"], "unknown option"),
        (["--env-file", "/nonexistent", "nano"], "can't read"),
        (["-a", "stdboth", "nano"], "invalid stream"),
        (["--rm", "--restart", "always", "nano"], "conflicting options"),
        (["-d", "-a", "stdout", "nano"], "conflicting options"),
        (["--detach-keys", "ctrl-", "nano"], "invalid detach keys"),
        (["-it", "nano"], "not a TTY"),
        (["--no-such-flag", "nano"], "no such option"),
    ],
)
def test_run_says_what_is_wrong_and_ends_with_125(cli, argv: list[str], said: str) -> None:
    ran = cli("run", *argv)
    assert ran.code == 125
    assert said in ran.err
    assert ran.err.startswith("ireko: ")
    assert cli.transport.requests == []


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("80", {"80/tcp": [("", "")]}),
        ("8080:80", {"80/tcp": [("", "8080")]}),
        ("127.0.0.1:8080:80/udp", {"80/udp": [("127.0.0.1", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:8080:80", {"80/tcp": [("::1", "8080")]}),
        ("8000-8001:80-81", {"80/tcp": [("", "8000")], "81/tcp": [("", "8001")]}),
        ("8000-8010:80", {"80/tcp": [("", "8000-8010")]}),
        ("80-81", {"80/tcp": [("", "")], "81/tcp": [("", "")]}),
    ],
)
def test_ports(word: str, found: dict[str, list[tuple[str, str]]]) -> None:
    assert bindings([word]) == {
        key: [{"HostIp": ip, "HostPort": port} for ip, port in bound] for key, bound in found.items()
    }


def test_a_variable_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidInput):
        environment(["=x"])


def test_detach_keys() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("a,ctrl-[") == b"a\x1b"
    with pytest.raises(InvalidInput):
        parse_keys("f1")


@given(st.lists(st.binary(max_size=5)), st.binary(min_size=1, max_size=3))
def test_the_filter_passes_all_before_the_keys(pieces: list[bytes], keys: bytes) -> None:
    typed = b"".join(pieces) + keys
    filtered, passed, left = DetachFilter(keys), b"", False
    for piece in [*pieces, keys]:
        if not left:
            more, left = filtered.feed(piece)
            passed += more
    assert left
    assert passed == typed[: typed.index(keys)]


@given(st.lists(st.sampled_from([b"\x10", b"a", b"\x11b"])))
def test_the_filter_holds_back_no_more_than_a_beginning(pieces: list[bytes]) -> None:
    filtered, passed = DetachFilter(b"\x10\x11"), b""
    for piece in pieces:
        more, left = filtered.feed(piece)
        passed += more
        if left:
            return
        assert b"".join(pieces).startswith(passed)
    assert b"".join(pieces).removeprefix(passed) in {b"", b"\x10"}
