"""Telling when the output files of machines have grown: one inotify instance for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from asyncinotify import Inotify, Mask, Watch


@dataclass
class _Watched:
    watch: Watch
    callbacks: list[Callable[[], None]] = field(default_factory=list)


class OutputWatcher:
    """Calls back, in the event loop, after files were written to."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._task: asyncio.Task[None] | None = None
        self._files: dict[Path, _Watched] = {}

    def watch(self, paths: Iterable[Path], changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after any of the files has grown; the result stops that, and may be called again.

        Raises FileNotFoundError.
        """
        inotify = self._start()
        chosen = tuple(paths)
        for path in chosen:
            if path not in self._files:
                self._files[path] = _Watched(inotify.add_watch(path, Mask.MODIFY))
            self._files[path].callbacks.append(changed)
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if not stopped:
                stopped = True
                for path in chosen:
                    self._stop(path, changed)

        return stop

    async def close(self) -> None:
        """Stop it all. May be repeated."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        self._files.clear()

    def _start(self) -> Inotify:
        if self._inotify is None:
            self._inotify = Inotify()
            self._task = asyncio.create_task(self._forward(self._inotify))
        return self._inotify

    async def _forward(self, inotify: Inotify) -> None:
        async for event in inotify:
            if event.watch is None:
                continue
            watched = self._files.get(event.watch.path)
            # the last word of a watch that was given up may come when the file is watched anew
            if watched is None or watched.watch is not event.watch:
                continue
            if Mask.IGNORED in event:  # the file was removed
                del self._files[event.watch.path]
                continue
            for changed in tuple(watched.callbacks):
                changed()

    def _stop(self, path: Path, changed: Callable[[], None]) -> None:
        watched = self._files.get(path)
        if watched is None or changed not in watched.callbacks:
            return
        watched.callbacks.remove(changed)
        if not watched.callbacks:
            del self._files[path]
            if self._inotify is not None:
                # it is gone by itself when the file was removed
                with contextlib.suppress(OSError, ValueError):
                    self._inotify.rm_watch(watched.watch)
