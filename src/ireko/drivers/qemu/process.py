"""A process that is not ours to keep: started apart from us, watched by its descriptor rather than its number."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ireko.errors import Denied, ProgramMissing

_ENVIRONMENT = ("PATH", "TMPDIR", "XDG_RUNTIME_DIR")


class Process:
    """A process that goes on without us. A descriptor stands for it, so a number used again can't be mistaken for it."""

    def __init__(self, pid: int) -> None:
        """Take hold of a process. Raises ProcessLookupError when there is none."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._end)

    @property
    def ended(self) -> bool:
        """Whether it was seen to end."""
        return self._ended.done()

    async def wait(self) -> None:
        """Waits for its end."""
        await asyncio.shield(self._ended)

    async def wait_or_kill(self, limit: float) -> None:
        """Waits for its end, and brings it about after `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """End it at once; it may have ended already."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Stop watching. May be repeated; nobody may be waiting."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._ended.cancel()

    def _end(self) -> None:
        self._loop.remove_reader(self._descriptor)
        with contextlib.suppress(ChildProcessError):  # somebody else's child: init sees to it
            os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        if not self._ended.done():
            self._ended.set_result(None)


def start_apart(argv: Sequence[str], *, cwd: Path, output: BinaryIO, keep: Sequence[int] = ()) -> Process:
    """Start a program that outlives us: its own session, no descriptor of ours but `keep`, files private to the user.

    Raises ProgramMissing, Denied.
    """
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=keep,
            start_new_session=True,
            umask=0o077,
            # what it says is read by us: English it must be
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise ProgramMissing(f'the program "{argv[0]}" is not installed', hint="ireko doctor") from error
    except PermissionError as error:
        raise Denied(f'the program "{argv[0]}" may not be run: {error.strerror}', hint="ireko doctor") from error
    # reaped through the descriptor: the object must not think that it was forgotten
    process.returncode = 0
    return Process(process.pid)
