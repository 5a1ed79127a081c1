"""Programs are started in one place."""

from __future__ import annotations

import sys

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


async def test_lines_as_they_come() -> None:
    lines: list[str] = []
    done = await run(
        sys.executable, "-c", "import sys; sys.stderr.write('a\\nb\\n'); print('out')", on_line=lines.append
    )
    assert lines == ["a", "b"]
    assert done.stdout == b"out\n"
