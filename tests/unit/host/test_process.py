"""Programs are started in one place."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ireko.errors import ProgramFailed, ProgramMissing, TimedOut
from ireko.host.process import run


async def test_output_and_input() -> None:
    done = await run(sys.executable, "-c", "import sys; print(sys.stdin.read()[::-1])", input=b"abc")
    assert done.stdout == b"cba\n"


async def test_failure_says_what_the_program_said() -> None:
    with pytest.raises(ProgramFailed, match="exit code 3: no way") as caught:
        await run(sys.executable, "-c", "import sys; sys.stderr.write('first\\nno way\\n'); sys.exit(3)")
    assert caught.value.exit_code == 3
    assert "first" in caught.value.details


async def test_missing_program() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        await run("no-such-program")


async def test_the_limit_ends_it() -> None:
    with pytest.raises(TimedOut):
        await run(sys.executable, "-c", "import time; time.sleep(60)", timeout=0.2)


@pytest.mark.skipif(sys.platform == "win32", reason="there a program can only be killed")
async def test_one_with_grace_may_tidy_up(tmp_path: Path) -> None:
    script = "trap 'rmdir made; exit 1' TERM; mkdir made; echo ready >&2; while :; do sleep 0.01; done"
    ready = asyncio.Event()
    task = asyncio.ensure_future(
        run("sh", "-c", script, cwd=tmp_path, on_line=lambda line: ready.set(), grace=30),
    )
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there a program can only be killed")
async def test_one_that_will_not_end_is_killed_after_its_grace() -> None:
    script = "trap '' TERM; sleep 1000 & while :; do sleep 0.01; done"
    with pytest.raises(TimedOut):
        await run("sh", "-c", script, timeout=0.2, grace=0.2)


async def test_lines_as_they_come() -> None:
    lines: list[str] = []
    done = await run(
        sys.executable, "-c", "import sys; sys.stderr.write('a\\nb\\n'); print('out')", on_line=lines.append
    )
    assert lines == ["a", "b"]
    assert done.stdout == b"out\n"
