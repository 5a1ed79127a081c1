"""The command line's output, byte for byte. Each file in tests/golden/cli is one case: a command line, then what it prints.

The command line is in the file's first line, after "$ ". Where docker has the same command, the real client is given the
same answers and must print the same: that is how the files were checked.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import DEADLINE

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
CASES = sorted(path.stem for path in GOLDEN.glob("*.txt"))
OURS_ALONE = {
    "check",
    "check_json",
    "compact",
    "compact_quiet",
    "images",
    "images_digests",
    "images_no_trunc",
    "ps_size",
    "ps_size_no_trunc",
    "tree",
    "doctor",
    "recipes",
    "version",
    "info",
    "df",
    "df_verbose",
    "inspect_missing",
    "images_format_extra",
}


def docker_is_recent() -> bool:
    """Whether docker prints what is recorded here: version 23 changed the words of several lists."""
    if (program := shutil.which("docker")) is None:
        return False
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", said)
    return found is not None and int(found[1]) >= 23


def read(case: str) -> tuple[list[str], str]:
    command, _, output = (GOLDEN / f"{case}.txt").read_bytes().decode().partition("\n")
    return shlex.split(command.removeprefix("$ ireko ")), output


@pytest.mark.parametrize("case", CASES)
def test_output_is_the_recorded_one(case: str, cli) -> None:
    argv, wanted = read(case)
    ran = cli(*argv)
    printed = (ran.out + ran.err).replace(platform.python_version(), "3.x")
    if os.environ.get("UPDATE_GOLDEN"):
        first = (GOLDEN / f"{case}.txt").read_bytes().decode().partition("\n")[0]
        (GOLDEN / f"{case}.txt").write_bytes(f"{first}\n{printed}".encode())
        return
    assert printed == wanted


@pytest.mark.docker
@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the docker client")
@pytest.mark.skipif(not docker_is_recent(), reason="an older docker client prints some lists in other words")
@pytest.mark.parametrize("case", [case for case in CASES if case not in OURS_ALONE])
def test_docker_prints_the_same(case: str, recorded_daemon: str, cli_now) -> None:
    argv, _ = read(case)
    ours = cli_now(*argv)
    docker = subprocess.run(
        ["docker", "-H", recorded_daemon, *argv],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    assert ours.out + ours.err == docker.stdout + docker.stderr
