"""The only place that starts programs: a list of arguments, never a shell, standard input closed unless it is given."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ireko.errors import ProgramFailed, ProgramMissing, TimedOut

_log = logging.getLogger(__name__)
_TAIL = 4000  # characters of a failed program's output that are worth keeping
_LINE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Completed:
    """What a program that succeeded wrote."""

    stdout: bytes
    stderr: bytes


def command_line(argv: tuple[str | Path, ...]) -> str:
    """The program and its arguments as a line that can be pasted into a shell."""
    return shlex.join(str(word) for word in argv)


async def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - subprocess calls it so
    timeout: float | None = None,  # noqa: ASYNC109 - the limit is part of what is promised
    on_line: Callable[[str], None] | None = None,
    grace: float = 0,
) -> Completed:
    """Run a program to its end and return what it wrote.

    `env` replaces the environment when given. `on_line` is called with each line of standard error as it comes. When the
    caller is cancelled or `timeout` (seconds) passes, the program is killed before the call returns; with `grace` it is
    told to end first, as is what it has started, and has so many seconds for it.
    Raises ProgramMissing, ProgramFailed (any exit code but 0), TimedOut.
    """
    stdin = subprocess.PIPE if input is not None else subprocess.DEVNULL
    process = await _start(argv, cwd=cwd, env=env, stdin=stdin, apart=bool(grace))
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await _exchange(process, input, on_line)
    except TimeoutError as error:
        raise TimedOut(f'"{argv[0]}" did not end within {timeout} seconds', details=command_line(argv)) from error
    finally:
        await _end(process, grace)
    if process.returncode:
        said = stderr.decode(errors="replace").strip()[-_TAIL:]
        last = said.splitlines()[-1] if said else "it said nothing"
        _log.info("exit %s: %s", process.returncode, command_line(argv))
        raise ProgramFailed(
            f'"{Path(argv[0]).name}" failed with exit code {process.returncode}: {last}',
            exit_code=process.returncode,
            details=f"{command_line(argv)}\n{said}",
        )
    return Completed(stdout, stderr)


async def _start(
    argv: tuple[str | Path, ...], *, cwd: Path | None, env: Mapping[str, str] | None, stdin: int, apart: bool
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(str(word) for word in argv),
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=_LINE_LIMIT,
            start_new_session=apart,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise
        raise ProgramMissing(f'the program "{argv[0]}" is not installed', hint="ireko doctor") from error


async def _exchange(
    process: asyncio.subprocess.Process, data: bytes | None, on_line: Callable[[str], None] | None
) -> tuple[bytes, bytes]:
    if on_line is None:
        return await process.communicate(data)
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr, _ = await asyncio.gather(
        process.stdout.read(), _lines(process.stderr, on_line), _feed(process, data)
    )
    await process.wait()
    return stdout, stderr


async def _lines(stream: asyncio.StreamReader, on_line: Callable[[str], None]) -> bytes:
    kept: list[bytes] = []
    async for line in stream:
        kept.append(line)
        on_line(line.decode(errors="replace").rstrip())
    return b"".join(kept)


async def _feed(process: asyncio.subprocess.Process, data: bytes | None) -> None:
    if process.stdin is None or data is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    if process.returncode is None and grace:
        _signal_all(process, "SIGTERM")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace)
        _signal_all(process, "SIGKILL")
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _signal_all(process: asyncio.subprocess.Process, name: str) -> None:
    """Send a signal to a program that was started apart, and to what it has started. Windows knows no such thing."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.Signals[name])
