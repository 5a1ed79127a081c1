"""Starting a daemon when none answers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ireko.client.address import Address
from ireko.client.transport import open_socket
from ireko.errors import Unavailable

_PROGRAM = (sys.executable, "-m", "ireko", "serve")
_ROOT_TAKEN = 75
_DEADLINE = 180.0  # seconds; a daemon that finds many machines again on a busy host takes some, and one that fails ends
_GRACE = 10.0  # seconds for a daemon that has closed the pipe to end
_TAIL = 2000


def start(root: Path, address: Address, *, program: Sequence[str] = _PROGRAM) -> None:
    """Start a daemon on this root, detached, and return when it serves `address`.

    Clients that come at the same time wait for the one that is starting it. Raises Unavailable with the end of the
    daemon's log when it does not come up.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = root / "daemon.log"
    command = (*program, "--root", str(root), "--host", str(address), "--ready-fd", "1")
    end = time.monotonic() + _DEADLINE
    with _alone(root / "daemon.start"):
        # A root that is taken is one whose daemon comes up or goes down at this moment. Nothing tells us which, so a daemon
        # is started again: each try takes the time that a daemon needs to find the root taken.
        while not _answers(address) and not _launch(command, log):
            if time.monotonic() > end:
                raise Unavailable(
                    f'another daemon holds "{root}" but does not answer at "{address}"',
                    hint=f"the whole story is in {log}",
                )


def _launch(command: Sequence[str], log: Path) -> bool:
    """Whether the daemon serves; False when another one holds its root. Raises Unavailable when it ends in another way."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # carries the one line that says it serves; then the daemon points it at the log
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0),
        )
    assert process.stdout is not None
    try:
        if _first_line(process.stdout) == b"ready\n":
            process.returncode = 0  # it lives on without us: nobody is to wait for it or warn about it
            return True
        return _turned_away(process, log)
    finally:
        process.stdout.close()


def _turned_away(process: subprocess.Popen[bytes], log: Path) -> bool:
    """False when the daemon found its root taken; raises what went wrong otherwise."""
    try:
        code = process.wait(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Unavailable(
            f"the daemon did not come up within {_DEADLINE:.0f} seconds",
            details=_tail(log),
            hint=f"the whole story is in {log}",
        ) from None
    if code == _ROOT_TAKEN:
        return False
    said = [line for line in _tail(log).splitlines() if not line.startswith("hint:")] or ["it said nothing"]
    raise Unavailable(
        f"the daemon did not start (exit code {code}): {said[-1]}",
        details=_tail(log),
        hint=f"the whole story is in {log}",
    )


def _first_line(pipe: IO[bytes]) -> bytes:
    """The first line, or b"" when the pipe ends or the deadline passes before one."""
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(pipe.readline()), daemon=True)
    reader.start()
    reader.join(_DEADLINE)
    return lines[0] if lines else b""


def _answers(address: Address) -> bool:
    try:
        open_socket(address).close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    try:
        return log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system drops when the process ends."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
