"""`promote`: what it asks for, what it prints where."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

ROUTE = "POST /ireko/containers/web/promote"
WARNING = 'the volume "data" is not part of the machine: /data shows what the disk has there'


def lines(*said: dict[str, object]) -> bytes:
    return b"\r\n".join(json.dumps(line).encode() for line in said)


def made(path: Path, *warnings: str, files: tuple[str, ...] = ("disk.qcow2", "domain.xml", "start.sh")) -> bytes:
    progress = {"id": "web", "status": "writing the disk", "progressDetail": {"current": 5, "total": 10}}
    aux = {"Path": str(path), "Disk": "disk.qcow2", "Files": list(files), "Warnings": list(warnings)}
    return lines(progress, {"status": "promoted web"}, {"aux": aux})


def body(cli) -> dict[str, object]:
    found: dict[str, object] = json.loads(cli.transport.requests[-1].body)
    return found


def test_it_is_named_after_the_container(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli.transport.answers[ROUTE] = made(tmp_path / "web")
    ran = cli("promote", "web")
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'web'}\n")
    assert body(cli) == {"Path": str(tmp_path / "web"), "Format": "", "Register": "", "Move": False}
    assert ran.err.splitlines()[-1] == f"start it with {tmp_path / 'web' / 'start.sh'}"


def test_what_starts_it_can_be_pasted(cli, tmp_path: Path) -> None:
    place = tmp_path / "a b 'c'"
    cli.transport.answers[ROUTE] = made(place)
    ran = cli("promote", "web", str(place))
    assert shlex.split(ran.err.splitlines()[-1]) == ["start", "it", "with", str(place / "start.sh")]


def test_all_that_can_be_asked_for(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    cli.transport.answers[ROUTE] = made(tmp_path / "box", WARNING, files=("disk.vhdx",))
    ran = cli("promote", "--format", "vhdx", "--register", "box", "--move", "web", "../box")
    assert body(cli) == {"Path": str(tmp_path / "box"), "Format": "vhdx", "Register": "box", "Move": True}
    assert ran.out == f"{tmp_path / 'box'}\n"
    assert ran.err.splitlines()[-2:] == [f"WARNING: {WARNING}", 'the hypervisor knows it as "box"']


@pytest.mark.skipif(sys.platform == "win32", reason="there not everybody may make links")
def test_a_path_over_a_link_leads_where_it_does_for_others(cli, tmp_path: Path) -> None:
    (tmp_path / "far" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "folder")
    cli.transport.answers[ROUTE] = made(tmp_path / "far" / "box")
    cli("promote", "web", str(tmp_path / "link" / ".." / "box"))
    assert body(cli)["Path"] == str(tmp_path / "far" / "box")


def test_a_failure_comes_with_its_hint(cli, tmp_path: Path) -> None:
    detail = {"code": 409, "message": 'the container "web" is running'}
    cli.transport.answers[ROUTE] = lines({"errorDetail": detail, "error": detail["message"], "hint": "ireko stop web"})
    ran = cli("promote", "web", str(tmp_path / "x"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        'Error response from daemon: the container "web" is running',
        "hint: ireko stop web",
    ]


def test_a_format_that_is_none(cli) -> None:
    ran = cli("promote", "--format", "vmdk", "web")
    assert ran.code == 125
    assert cli.transport.requests == []
