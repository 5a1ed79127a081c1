"""`ireko`, and `python -m ireko`: the command line of this process."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run it; the exit code. Ctrl-C is no error to be told of while what is needed is still being loaded: it just ends."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # who started us may have it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ireko.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    return run()


if __name__ == "__main__":
    sys.exit(main())
