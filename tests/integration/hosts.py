"""A daemon that runs real guests, and its command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import DaemonProcess, command_lines

IREKO = (sys.executable, "-m", "ireko")
LIMIT = 600.0
"""Seconds after which a program hangs: a whole system takes minutes to come up on a busy machine without acceleration."""
PATIENT = ("-t", "300")
"""What `stop` is told where the guest's own end is waited for."""
FOREVER = ("sleep", "1000000")


class Host:
    """A daemon with QEMU on a root of its own."""

    def __init__(self, base: Path, root: Path) -> None:
        """`base` is a root that is copied."""
        shutil.copytree(base, root, symlinks=True, dirs_exist_ok=True)
        self.root = root
        self.daemon = DaemonProcess(root, "qemu")
        self.daemon.start()

    def __call__(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        words = [*IREKO, "-H", self.daemon.address, *argv]
        return subprocess.run(words, input=stdin, capture_output=True, timeout=LIMIT, check=False)

    def out(self, *argv: str, stdin: bytes = b"") -> str:
        """The output of a command line that must succeed."""
        done = self(*argv, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def inspect(self, name: str) -> dict:
        (found,) = json.loads(self.out("inspect", name))
        return found

    def processes(self) -> dict[int, str]:
        """The command lines of what runs for this root, by process."""
        return {
            number: line
            for number, line in command_lines().items()
            if str(self.root) in line and "qemu-system" in line.partition(" ")[0]
        }

    def close(self) -> None:
        for identifier in self.out("ps", "-aq").split():
            self("rm", "-f", identifier)
        self.daemon.stop()
