"""`image import`, `adopt`, `image flatten`, `image rebase`: what they ask for, what they print where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DONE = [
    {"id": "web", "status": "importing layer 1 of 1", "progressDetail": {"current": 5, "total": 10}},
    {"status": "imported abc"},
    {"aux": {"ID": "sha256:abc", "Warnings": ["nothing starts"]}},
]


def answer(cli, route: str) -> None:
    cli.transport.answers[route] = b"\r\n".join(json.dumps(line).encode() for line in DONE)


def asked(cli) -> dict[str, object]:
    found: dict[str, object] = json.loads(cli.transport.requests[-1].body)
    return found


def test_a_path_is_taken_from_where_we_are(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer(cli, "POST /ireko/images/import")
    ran = cli("image", "import", "--parents", "old disks", "サーバ 1.vhdx", "web:1")
    assert (ran.code, ran.out) == (0, "sha256:abc\n")
    assert ran.err.splitlines()[1:] == ["imported abc", "WARNING: nothing starts"]
    found = asked(cli)
    assert (found["Path"], found["Within"]) == (str(tmp_path / "サーバ 1.vhdx"), [str(tmp_path / "old disks")])


@pytest.mark.parametrize(
    "argv", [["import", "x.vhdx"], ["flatten", "web"], ["rebase", "web", "debian"]], ids=lambda argv: argv[0]
)
def test_quiet_is_the_id_alone(cli, argv: list[str]) -> None:
    for route in ("images/import", "images/web/flatten", "images/web/rebase"):
        answer(cli, f"POST /ireko/{route}")
    ran = cli("image", argv[0], "-q", *argv[1:])
    assert ran.out == "sha256:abc\n"
    assert set(ran.err.splitlines()) <= {"WARNING: nothing starts"}


@pytest.mark.parametrize("number", ["nan", "-1", "inf", "many"])
def test_processors_are_a_number(cli, number: str) -> None:
    for verb in (["image", "import", "x.vhdx"], ["run", "nano"]):
        ran = cli(*verb[:-1], "--cpus", number, verb[-1])
        assert (ran.code, cli.transport.requests) == (125, [])
        assert "'--cpus'" in ran.err


@pytest.mark.parametrize(("words", "size"), [([], 0), (["--sector-size", "4096"], 4096)])
def test_sectors(cli, words: list[str], size: int) -> None:
    answer(cli, "POST /ireko/images/import")
    cli("image", "import", *words, "x.raw")
    assert asked(cli)["SectorSize"] == size
    assert cli("image", "import", "--sector-size", "1024", "x.raw").code == 125


def test_no_name_is_no_path(cli) -> None:
    answer(cli, "POST /ireko/images/import")
    cli("image", "import", "")
    assert asked(cli)["Path"] == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("web", "web"),
        ("web server", "web server"),
        ("./web", "{}/web"),
        ("there", "{}/there"),
        ("sub/web", "{}/sub/web"),
    ],
)
def test_a_machine_is_a_name_or_a_path(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    answer(cli, "POST /ireko/adopt")
    cli("adopt", written)
    assert asked(cli)["Machine"] == meant.format(tmp_path)
