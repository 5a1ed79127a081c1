"""The toy guest's sh, held against the real one."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ireko.drivers.fake.book import base_disk
from ireko.drivers.fake.filesystem import FileSystem
from ireko.drivers.fake.process import Process, Streams, System, User
from ireko.drivers.fake.programs import PROGRAMS
from ireko.drivers.fake.streams import Input, Pipe
from ireko.drivers.fake.tree import Tree

# script, standard output, exit code
SCRIPTS = [
    ("echo one; echo two", "one\ntwo\n", 0),
    ("exit 7", "", 7),
    ("false", "", 1),
    ("false || echo or && echo and", "or\nand\n", 0),
    ("true || echo no; echo $?", "0\n", 0),
    ("! true; echo $?; ! false; echo $?", "1\n0\n", 0),
    ("A=1; B=$A; A=2; echo $A$B", "21\n", 0),
    ("A='a  b'; echo $A \"$A\" '$A'", "a b a  b $A\n", 0),
    ("echo \"a\\$b\" a\\ b 'it'\\''s'", "a$b a b it's\n", 0),
    ("echo ${A:-default} ${B-other}; A=x; echo ${A:-no} ${A:+yes}", "default other\nx yes\n", 0),
    ('E=; set -- $E \'a b\' "$E"; echo $#; for x in "$@"; do echo "<$x>"; done', "2\n<a b>\n<>\n", 0),
    ("set -- a b c; shift; echo $1 $#", "b 2\n", 0),
    ("echo $(echo inner $(echo most))", "inner most\n", 0),
    ("echo \"$(printf 'a\\n\\n')\"", "a\n", 0),
    ("echo hello | tr a-z A-Z", "HELLO\n", 0),
    ("echo a b | { read x y; echo $y $x; }", "b a\n", 0),
    ("mkdir d; (cd d; touch f); ls; echo $(cd d; ls)", "d\nf\n", 0),
    ("echo a > /dev/stderr 2> /dev/null; { echo b > /dev/stdout; } | cat", "b\n", 0),
    ("(exit 3); echo $?; (A=1); echo ${A:-unset}", "3\nunset\n", 0),
    ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n", 0),
    ("if false; then echo a; fi; echo $?", "0\n", 0),
    ("i=x; while [ $i != xxx ]; do i=${i}x; echo $i; done", "xx\nxxx\n", 0),
    ("until true; do echo no; done; for i in 1 '2 3'; do echo $i; done", "1\n2 3\n", 0),
    ("echo text > file; echo more >> file; cat < file; cat file | wc -l | tr -d ' '", "text\nmore\n2\n", 0),
    ("echo gone > /dev/null; echo err >&2 | cat", "", 0),
    ("no-such-program 2> /dev/null; echo $?", "127\n", 0),
    ("sh -c 'echo $0 $1' zero one; sh -c 'exit 4' || echo $?", "zero one\n4\n", 0),
    ("trap 'echo bye' EXIT; echo work; exit 2", "work\nbye\n", 2),
    ("trap 'echo caught' TERM; kill -TERM $$; echo on", "caught\non\n", 0),
    ("trap '' TERM; kill -15 $$; echo still; trap - TERM; kill -15 $$; echo never", "still\n", 143),
    ("sh -c 'kill -9 $$'; echo $?", "137\n", 0),
    ("sleep 1000 & kill $!; wait $!; echo $?", "143\n", 0),
    ("eval 'A=1; echo '\\$A; command -v true > /dev/null && echo found", "1\nfound\n", 0),
    ("# a comment\necho a#b # another", "a#b\n", 0),
    ("mkdir d; touch d/f; test -f d/f && [ -d d ] && rm -r d; test -e d; echo $?", "1\n", 0),
    ("ln -s target l; test -L l && echo link; echo x > target; cat l; rm l; cat target", "link\nx\nx\n", 0),
    ("printf '%s-%s\\n' a b; echo -n end", "a-b\nend", 0),
]


class Screen:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data


@pytest.fixture
async def system(tmp_path: Path) -> System:
    return System(FileSystem(Tree(base_disk(tmp_path / "disk.qcow2"))), PROGRAMS, hostname="toy")


def spawn(system: System, *argv: str, streams: Streams) -> Process:
    environment = {"PATH": "/bin", "HOME": "/root"}
    return system.spawn(argv, environment=environment, workdir="/srv", user=User(), streams=streams)


@pytest.mark.parametrize(("script", "output", "code"), SCRIPTS, ids=[script for script, _, _ in SCRIPTS])
async def test_scripts(system: System, script: str, output: str, code: int) -> None:
    screen = Screen()
    assert await spawn(system, "sh", "-c", script, streams=Streams(stdout=screen)).wait() == code
    assert screen.data.decode() == output
    assert not system.processes


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("sh") is None, reason="this host has no sh")
@pytest.mark.parametrize(("script", "output", "code"), SCRIPTS, ids=[script for script, _, _ in SCRIPTS])
def test_the_real_sh_does_the_same(tmp_path: Path, script: str, output: str, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.stdout == output
    assert done.returncode in {code, 128 - code}


async def test_it_reads_commands_from_its_input(system: System) -> None:
    screen, pipe = Screen(), Pipe()
    process = spawn(system, "sh", streams=Streams(Input(pipe), screen))
    await pipe.write(b"echo one\nread x\nthis is x\nif true\nthen echo $x\nfi\ncat\nthe rest\n")
    pipe.close()
    assert await process.wait() == 0
    assert screen.data == b"one\nthis is x\nthe rest\n"


async def test_a_program_nobody_has(system: System) -> None:
    screen = Screen()
    process = spawn(system, "nothing", streams=Streams(stderr=screen))
    assert await process.wait() == 127
    assert screen.data == b"nothing: not found\n"


@pytest.mark.parametrize(
    "script", ["trap x NOSUCH", "chmod", "kill me", "head -n many", "test a -eq b", "shift; exit x"]
)
async def test_arguments_that_make_no_sense(system: System, script: str) -> None:
    screen = Screen()
    assert await spawn(system, "sh", "-c", script, streams=Streams(stderr=screen)).wait() == 2
    assert screen.data.endswith(b"\n")


async def test_a_script_in_a_file(system: System) -> None:
    screen = Screen()
    script = "printf '#!/bin/sh\\necho $0 $1\\n' > run; ./run a 2>/dev/null; echo $?; chmod +x run; ./run b"
    await spawn(system, "sh", "-c", script, streams=Streams(stdout=screen)).wait()
    assert screen.data == b"126\n./run b\n"


@pytest.mark.parametrize("script", ["echo 'open", "if true", "echo )", "while", "&& echo", "for", "echo |"])
async def test_what_is_no_script_is_refused(system: System, script: str) -> None:
    screen = Screen()
    assert await spawn(system, "sh", "-c", script, streams=Streams(stderr=screen)).wait() == 2
    assert b"syntax error" in screen.data


async def test_who_reads_no_more_ends_who_writes(system: System) -> None:
    screen = Screen()
    assert await spawn(system, "sh", "-c", "yes | head -n 3", streams=Streams(stdout=screen)).wait() == 0
    assert screen.data == b"y\n" * 3
    assert not system.processes


async def test_a_program_is_held_while_the_system_is(system: System) -> None:
    screen = Screen()
    system.going.clear()
    process = spawn(system, "echo", "done", streams=Streams(stdout=screen))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not process.ended
    system.going.set()
    assert await process.wait() == 0


async def test_the_children_of_a_killed_shell_die_with_it(system: System) -> None:
    pipe = Pipe()
    process = spawn(system, "sh", "-c", "sh -c 'echo; sleep 1000'", streams=Streams(stdout=pipe))
    assert await pipe.read() == b"\n"
    process.signal(9)
    assert await process.wait() == 137
    await system.kill_all()
    assert not system.processes


@pytest.mark.parametrize(
    ("user", "found"), [("", (0, 0)), ("nobody", (65534, 65534)), ("12:34", (12, 34)), ("0:5", (0, 5))]
)
async def test_users(system: System, user: str, found: tuple[int, int]) -> None:
    who = system.user(user)
    assert (who.uid, who.gid) == found
    with pytest.raises(KeyError):
        system.user("stranger")
