"""The table of verbs, help, and how command lines end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import click
import pytest

from ireko.cli import exit as ending
from ireko.cli.group import _load
from ireko.cli.verbs import GROUPS, Entry
from ireko.client import Refused
from ireko.errors import NotFound, Unavailable

ENTRIES = [entry for entries in GROUPS.values() for entry in entries]
HEAVY = {
    "aiohttp",
    "asyncio",
    "rich",
    "cryptography",
    "asyncssh",
    "msgspec",
    "email",
    "ssl",
    "http",
    "subprocess",
    "ireko.app",
}


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.attribute], ids=lambda entry: entry.name)
def test_the_table_says_what_the_verb_says(entry: Entry) -> None:
    command = _load(entry)
    assert (command.help or "").splitlines()[0].rstrip(".") == entry.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{entry.name} {parameter.opts} has no help"


def test_help_shows_every_verb_under_a_heading(cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--help").code == 0
    shown = capsys.readouterr().out
    for entry in GROUPS["ireko"]:
        assert re.search(rf"^  {entry.name} +{re.escape(entry.help)}$", shown, re.MULTILINE)
    assert all(len(line) <= 100 for line in shown.splitlines())


@pytest.mark.parametrize("argv", [[], ["image"], ["image", "--help"]])
def test_a_group_alone_shows_its_help(cli, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(*argv).code == 0
    assert capsys.readouterr().out.startswith(" ".join(["Usage: ireko", *argv[:1]]))


def test_an_unknown_verb_is_a_usage_error_with_the_nearest(cli) -> None:
    ran = cli("imags")
    assert ran.code == 1
    assert 'unknown command: "ireko imags" (did you mean images or image?)' in ran.err
    assert 'unknown command: "ireko save" (see ireko image export --help)' in cli("save", "nano").err


def test_a_container_called_run_is_no_verb(cli) -> None:
    assert cli("rm", "run").code == 1
    assert cli("run", "no-such-image:1", "true").code == 125


@pytest.mark.parametrize(
    ("argv", "same"), [(["help"], []), (["help", "run"], ["run"]), (["help", "image", "make"], ["image", "make"])]
)
def test_help_is_a_word_too(cli, argv: list[str], same: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(*argv).code == 0
    shown = capsys.readouterr().out
    cli(*same, "--help")
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("argv", [["stop"], ["exec", "web"], ["run"], ["rename", "web"], ["volume", "rm"], ["cp", "x"]])
def test_a_missing_argument_ends_with_one_as_docker_has_it(cli, argv: list[str]) -> None:
    ran = cli(*argv)
    assert ran.code == 1
    assert ran.err.startswith("ireko: missing argument ")
    assert ran.err.splitlines()[1].startswith("hint: ireko ")


def test_forced_removal_tells_of_what_is_not_there_and_goes_on(cli) -> None:
    cli.transport.answers["DELETE /containers/gone"] = Refused("No such container: gone", status=404)
    cli.transport.answers["DELETE /containers/web"] = b""
    ran = cli("rm", "-f", "gone", "web")
    assert (ran.code, ran.out, ran.err) == (0, "web\n", "Error response from daemon: No such container: gone\n")
    assert cli("rm", "gone").code == 1


def test_a_verb_imports_no_more_than_it_needs() -> None:
    program = (
        "import sys; from ireko.cli.main import main; main(['-H', 'unix:///nonexistent/s', 'ps']);print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "ireko.cli.ps" in loaded
    assert not HEAVY & set(loaded)
    assert not [name for name in loaded if name.startswith("ireko.cli.template")]


@pytest.mark.parametrize(
    ("error", "verb", "code", "said"),
    [
        (KeyboardInterrupt(), "logs", 130, ""),
        (BrokenPipeError(), "ps", 141, ""),
        (Refused("No such container: x", status=404, hint="ireko ps -a"), "stop", 1,
         "Error response from daemon: No such container: x\nhint: ireko ps -a\n"),
        (Refused("no", status=500), "run", 125, "Error response from daemon: no\n"),
        (Refused('exec: "x": executable file not found in $PATH', status=400), "run", 127, None),
        (Refused("exec: permission denied", status=400), "run", 126, None),
        (Unavailable("gone", hint="ireko serve"), "ps", 1, "ireko: gone\nhint: ireko serve\n"),
        (NotFound("no file"), "run", 125, "ireko: no file\n"),
        (PermissionError(13, "Permission denied", "/x"), "cp", 1, "ireko: Permission denied: /x\n"),
    ],
)  # fmt: skip
def test_how_errors_end(error: BaseException, verb: str, code: int, said: str | None) -> None:
    import io

    err = io.StringIO()
    assert ending.report(error, err, verb=verb) == code
    assert said is None or err.getvalue() == said


def test_what_is_no_fault_of_the_user_is_raised() -> None:
    import io

    with pytest.raises(ZeroDivisionError):
        ending.report(ZeroDivisionError(), io.StringIO(), verb="ps")


def test_several_objects_go_on_after_an_error(cli) -> None:
    cli.transport.answers = {f"POST /containers/{name}/stop": b"" for name in ("a", "c")}
    cli.transport.answers["POST /containers/b/stop"] = Refused("No such container: b", status=404)
    ran = cli("stop", "-t", "3", "a", "b", "c")
    assert ran.code == 1
    assert ran.out == "a\nc\n"
    assert ran.err == "Error response from daemon: No such container: b\n"
    assert sorted(cli.transport.sent()) == [f"POST /containers/{name}/stop?t=3" for name in "abc"]


def test_what_is_so_already_is_no_error(cli) -> None:
    cli.transport.answers["POST /containers/web/start"] = Refused("", status=304)
    assert cli("start", "web") == type(cli("start", "web"))(0, "web\n", "")


@pytest.mark.parametrize(
    ("argv", "sent"),
    [
        (["kill", "-s", "HUP", "web"], "POST /containers/web/kill?signal=HUP"),
        (["container", "pause", "web"], "POST /containers/web/pause"),
        (["unpause", "web"], "POST /containers/web/unpause"),
        (["restart", "--time", "0", "web"], "POST /containers/web/restart?t=0"),
        (["rm", "-fv", "web"], "DELETE /containers/web?force=1&v=1"),
        (["rename", "web", "old"], "POST /containers/web/rename?name=old"),
        (["tag", "web:1", "host:5000/a/b:2"], "POST /images/web:1/tag?repo=host%3A5000%2Fa%2Fb&tag=2"),
        (["volume", "rm", "-f", "data"], "DELETE /volumes/data?force=1"),
        (["serve", "--stop", "-H", "unix:///nonexistent"], None),
        (["ps", "-f", "status=exited", "-f", "status=created", "-n", "2"],
         "GET /containers/json?all=1&limit=2&filters=%7B%22status%22%3A+%5B%22exited%22%2C+%22created%22%5D%7D"),
        (["ps", "--format", "{{.Size}}"], "GET /containers/json?size=1"),
        (["top", "web", "-o", "pid"], "GET /containers/web/top?ps_args=-o+pid"),
    ],
)  # fmt: skip
def test_what_is_asked(cli, argv: list[str], sent: str | None) -> None:
    if sent is not None:
        cli.transport.answers[sent.partition("?")[0]] = b"[]" if "json" in sent else b'{"Titles": [], "Processes": []}'
    ran = cli(*argv)
    assert (cli.transport.sent() == [sent]) if sent else (ran.code == 1 and "Cannot connect" in ran.err)


def test_wait_prints_exit_codes(cli) -> None:
    cli.transport.answers["POST /containers/web/wait"] = b'{"StatusCode": 3}\n'
    assert cli("wait", "web").out == "3\n"


def test_commit_and_recreate(cli) -> None:
    cli.transport.answers = {
        "POST /commit": b'{"Id": "sha256:1"}',
        "POST /ireko/containers/web/recreate": b'{"Id": "2"}',
    }
    assert cli("commit", "-m", "m", "-c", "CMD a", "-c", "USER b", "--no-pause", "web", "web:1").out == "sha256:1\n"
    assert cli.transport.requests[0].query == {
        "container": "web", "repo": "web", "tag": "1", "comment": "m", "pause": "false", "changes": "CMD a\nUSER b",
    }  # fmt: skip
    assert cli("recreate", "web").out == "web\n"


def test_prune_asks_first(cli) -> None:
    assert cli("container", "prune", stdin="n\n").out.endswith("[y/N] ")
    assert cli.transport.requests == []
    assert "Total reclaimed space: 196.6kB" in cli("container", "prune", stdin="y\n").out


def test_logs_go_to_the_stream_they_came_from(cli) -> None:
    frames = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x04zwei\x01\0\0\0\0\0\0\x01\n"
    cli.transport.answers["GET /containers/web/logs"] = frames
    ran = cli("logs", "-t", "--tail", "5", "--since", "1h", "web")
    assert (ran.out, ran.err) == ("one\n", "zwei")
    query = cli.transport.requests[0].query
    assert (query["tail"], query["timestamps"]) == ("5", "1")
    assert float(query["since"]) == cli.now.timestamp() - 3600


def test_image_make_shows_steps_and_the_id(cli) -> None:
    lines = [
        {"status": "unpacking packages", "id": "nano", "progressDetail": {"current": 5, "total": 10}},
        {"status": "unpacking packages", "id": "nano", "progressDetail": {"current": 6, "total": 10}},
        {"status": "compressing", "id": "nano", "progressDetail": {}},
        {"aux": {"ID": "sha256:abc"}},
    ]
    cli.transport.answers["POST /ireko/images/make"] = "\n".join(map(json.dumps, lines)).encode()
    ran = cli("image", "make", "nano", "-t", "nano:1")
    assert ran.out == "sha256:abc\n"
    assert ran.err == "nano: unpacking packages [============            ]  50%  5B/10B\nnano: compressing\n"
    assert cli.transport.sent() == ["POST /ireko/images/make?recipe=nano&tag=nano%3A1"]


def test_image_make_sends_a_recipe_of_one_s_own(cli, tmp_path) -> None:
    recipe = tmp_path / "web.toml"
    recipe.write_text('name = "ウェブ"\n', encoding="utf-8")
    cli.transport.answers["POST /ireko/images/make"] = b'{"aux": {"ID": "sha256:abc"}}'
    assert cli("image", "make", str(recipe), "-q").out == "sha256:abc\n"
    request = cli.transport.requests[0]
    assert request.query == {"recipe": "web"}
    assert request.body == 'name = "ウェブ"\n'.encode()


def test_a_failed_making_is_an_error(cli) -> None:
    cli.transport.answers["POST /ireko/images/make"] = b'{"errorDetail": {"message": "no space"}, "error": "no space"}'
    ran = cli("image", "make", "nano")
    assert (ran.code, ran.err) == (1, "Error response from daemon: no space\n")


def test_tables_of_everything_are_no_json(cli) -> None:
    ran = cli("system", "df", "-v", "--format", "json")
    assert (ran.code, ran.out) == (1, "")


def test_what_lies_beside_is_told(cli) -> None:
    found = {"LayersSize": 1000, "Beside": {"Kernels": 60_700_000, "Lost": 0, "Cache": 2000}}
    cli.transport.answers["GET /system/df"] = json.dumps(found).encode()
    assert cli("system", "df").out.endswith("\nBeside that: kernels 60.7MB, the cache of recipes 2kB.\n")


def test_doctor_ends_with_one_when_something_is_wrong(cli) -> None:
    assert cli("doctor").code == 1
    cli.transport.answers["GET /ireko/doctor"] = b'[{"Name": "qemu", "Level": "warning", "Found": "old", "Remedy": ""}]'
    assert cli("doctor", "--format", "json").code == 0


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("stop w", "plain,web\n"),
        ("inspect w", "plain,web\n"),
        ("inspect debian:l", "plain,debian:latest\n"),
        ("volume inspect d", "plain,data\n"),
        ("cp w", "plain,web:\n"),
        ("cp ./w", "file,./w\n"),
        ("image m", "plain,make\n"),
        ("run --rest", "plain,--restart\n"),
    ],
)
def test_a_shell_completes_names(recorded_daemon: str, line: str, completed: str) -> None:
    place = str(len(line.split()))
    words = {"_IREKO_COMPLETE": "bash_complete", "COMP_WORDS": f"ireko {line}", "COMP_CWORD": place}
    program = "from ireko.cli.main import main; main([])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **words, "IREKO_HOST": recorded_daemon},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion(cli, shell: str) -> None:
    ran = cli("completion", shell)
    assert ran.code == 0
    assert "_IREKO_COMPLETE" in ran.out


def test_compact_ends_with_one_when_a_disk_could_not_be_worked_on(cli) -> None:
    assert cli("system", "compact", "-q").code == 1
    done = {
        "SpaceReclaimed": 0,
        "LookedAt": 1,
        "Shrunk": [],
        "Left": [{"Name": "a", "Why": "it runs", "Failed": False}],
    }
    cli.transport.answers["POST /ireko/compact"] = json.dumps({"aux": done}).encode()
    ran = cli("system", "compact")
    assert (ran.code, ran.out) == (0, "a: left as it is: it runs\nTotal reclaimed space: 0B\n")


def test_check_ends_with_one_only_when_something_stays_wrong(cli) -> None:
    assert cli("system", "check").code == 1
    found = {"Name": "a", "Level": "error", "Found": "b", "Remedy": "c", "Repaired": True}
    counts = {"Images": 1, "Layers": 2, "Containers": 0, "Volumes": 0, "Deep": True}
    cli.transport.answers["POST /ireko/check"] = json.dumps({"aux": {**counts, "Findings": [found]}}).encode()
    ran = cli("system", "check", "--deep", "--repair")
    assert (ran.code, ran.out) == (
        0,
        "repaired  a  b\n1 image, 2 layers, 0 containers, 0 volumes: 0 wrong, 1 repaired\n",
    )
    assert cli.transport.sent()[-1] == "POST /ireko/check?deep=1&repair=1"
    cli.transport.answers["POST /ireko/check"] = json.dumps({"aux": {**counts, "Findings": []}}).encode()
    assert cli("system", "check").out == "1 image, 2 layers, 0 containers, 0 volumes: nothing is wrong\n"
    assert cli("system", "check", "-q").out == ""
