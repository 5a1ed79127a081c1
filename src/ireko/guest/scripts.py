"""The shell scripts that the guest channel runs: each is one session's command line (see `docs/guest-interface.md`)."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

NOTHING_THERE = 44
"""The exit code of a script whose path does not exist in the guest."""

# Commands for files run inside the image's root, so that its symbolic links mean what they mean there. Where the root is
# not our own, its programs can't be relied on: ours are reached through process 1's view of the files.
_INSIDE = """\
root=$(ireko-root)
if [ "$root" = / ]; then inside() { "$@"; }; tools=
else inside() { chroot "$root" /proc/1/root/bin/busybox "$@"; }; tools=/proc/1/root/bin/busybox; fi
"""


def _inside(script: str, *arguments: str) -> str:
    """Run a script in the image's root: $1 is what reaches our tools there, the arguments follow."""
    return f'{_INSIDE}inside sh -c {shlex.quote(script)} sh "$tools" {shlex.join(arguments)}'


LISTING = _inside('exec $1 find / -xdev -exec $1 stat -c "%f %s %Y %u %g %D %n" {} +')
"""Print every file of the root file system: mode, size, time, owner, group, device, name."""


def execute(*, user: str, workdir: str, environment: Sequence[str], argv: Sequence[str]) -> str:
    """Become a program of the image."""
    return "exec " + shlex.join(["ireko-exec", user, workdir, *environment, "--", *argv])


def archive(path: str) -> str:
    """Write what is at an absolute path to the standard output as a tar stream; `/.` behind it leaves its name out."""
    folder, name = (path, "") if path.endswith("/.") else posixpath.split(posixpath.normpath(path))
    inner = (
        f'cd "$2" 2>/dev/null || exit {NOTHING_THERE}; [ -e "$3" ] || [ -L "$3" ] || exit {NOTHING_THERE}; '
        'exec $1 tar -c -f - -- "$3"'
    )
    return _inside(inner, folder, _entry(name))


def unpack(path: str) -> str:
    """Unpack a tar stream from the standard input into a folder."""
    inner = f'[ -d "$2" ] || exit {NOTHING_THERE}; cd "$2" || exit 1; exec $1 tar -x -p -f -'
    return _inside(inner, path)


def stat(path: str) -> str:
    """Print what is at an absolute path: mode, size, time, owner, group; then where a symbolic link points to."""
    inner = (
        f'[ -e "$2" ] || [ -L "$2" ] || exit {NOTHING_THERE}; $1 stat -c "%f %s %Y %u %g" -- "$2" || exit 1; '
        '[ ! -L "$2" ] || exec $1 readlink -n -- "$2"'
    )
    return _inside(inner, path)


def _entry(name: str) -> str:
    # the root of all has no name of its own, nor has what is in a folder
    return name or "."


WRITE_INPUT = "exec cat > /run/ireko/stdin"
CLOSE_INPUT = "exec /run/ireko/close-stdin"
SYNC = "exec sync"

COUNTERS = """\
root=$(ireko-root); [ "$root" = / ] && root=
cat /proc/net/dev; cd /proc; set -- [0-9]*; echo "processes $#"
"""
"""Prints the network interfaces' counters as the kernel does, and how many processes there are."""


def signal(number: int) -> str:
    """Send the main command a signal."""
    return f"exec ireko-signal {number}"


def resize(terminal: str, rows: int, columns: int) -> str:
    """Tell a terminal its size."""
    return f"exec stty rows {rows} cols {columns} < {shlex.quote(terminal)}"
