"""How long a guest stands still, as seen from outside.

A guest that is paused can't tell: its clock stands still with it. So a program in it writes a byte every few milliseconds, and
the growth of the file that its output goes to is watched here. What stalls the guest's processor, or the hypervisor's handling of
its devices, shows as a gap.
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Self

from asyncinotify import Inotify, Mask

PROGRAM = ("sh", "-c", "while :; do echo . | tee -a /beats; usleep 2000; done")
_DEADLINE = 60.0


class Heartbeat:
    """The moments (of time.perf_counter) at which the output of a container that runs PROGRAM grew."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._beats: list[float] = []
        self._grown = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait_for_beat_after(time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_DEADLINE)

    def largest_gap(self, began: float, ended: float) -> float:
        """The longest time in milliseconds without a beat that has a part between these moments."""
        self._wait_for_beat_after(ended)
        with self._grown:
            beats = tuple(self._beats)
        return max(after - before for before, after in pairwise(beats) if after > began and before < ended) * 1000

    def _wait_for_beat_after(self, moment: float) -> None:
        with self._grown:
            came = self._grown.wait_for(lambda: bool(self._beats) and self._beats[-1] > moment, _DEADLINE)
        assert came, f"no beat came within {_DEADLINE:g} seconds"

    def _watch(self) -> None:
        with Inotify(sync_timeout=1) as inotify:
            inotify.add_watch(self._output, Mask.MODIFY)
            while not self._stop.is_set():
                for _ in inotify:
                    with self._grown:
                        self._beats.append(time.perf_counter())
                        self._grown.notify_all()
                    if self._stop.is_set():
                        return
