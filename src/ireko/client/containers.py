"""Containers, and commands in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ireko.client.client import Json, Wire, filters, parsed
from ireko.client.stream import STDOUT, Stream, demultiplexed
from ireko.client.transport import Reply, Request

_RAW = "application/vnd.docker.raw-stream"


class Pending:
    """A wait that the daemon has registered."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def result(self) -> tuple[int, str]:
        """Block until it ends: the exit code, and what is known of why ("" when nothing is)."""
        said = parsed(b"".join(self._reply.pieces()))
        return int(said["StatusCode"]), str(said.get("Reason", ""))


class Containers:
    """A container is named by its name, its id or an unambiguous beginning of the id."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def all(
        self, *, stopped: bool = False, limit: int | None = None, size: bool = False, where: Sequence[str] = ()
    ) -> list[Json]:
        """Summaries, the newest first; `where` holds docker's filters as key=value."""
        query = {"all": stopped, "limit": limit, "size": size, "filters": filters(where)}
        return list(self._wire.fetch("GET", "/containers/json", query=query))

    def create(self, config: Json, *, name: str = "") -> Json:
        """Make a container from a body of `POST /containers/create`: {"Id", "Warnings"}."""
        made: Json = self._wire.fetch("POST", "/containers/create", query={"name": name}, body=config)
        return made

    def inspect(self, ref: str, *, size: bool = False) -> Json:
        """Everything about one container."""
        found: Json = self._wire.fetch("GET", f"/containers/{ref}/json", query={"size": size})
        return found

    def start(self, ref: str) -> None:
        """Start it; one that runs is left alone."""
        self._order(ref, "start")

    def stop(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Ask it to end, and cut its power after `timeout` seconds."""
        self._order(ref, "stop", t=timeout, signal=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop it when it runs, then start it."""
        self._order(ref, "restart", t=timeout, signal=signal)

    def kill(self, ref: str, *, signal: str = "") -> None:
        """Send its process a signal, KILL when none is named."""
        self._order(ref, "kill", signal=signal)

    def pause(self, ref: str) -> None:
        """Stop its processors."""
        self._order(ref, "pause")

    def unpause(self, ref: str) -> None:
        """Let its processors go on."""
        self._order(ref, "unpause")

    def rename(self, ref: str, name: str) -> None:
        """Give it another name."""
        self._order(ref, "rename", name=name)

    def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Tell its terminal how large it is."""
        self._order(ref, "resize", h=rows, w=columns)

    def _order(self, ref: str, verb: str, **query: object) -> None:
        from ireko.client.refusal import Refused

        try:
            self._wire.fetch("POST", f"/containers/{ref}/{verb}", query=query)
        except Refused as error:
            if error.status != 304:
                raise

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Delete it and its writable layer."""
        self._wire.fetch("DELETE", f"/containers/{ref}", query={"force": force, "v": volumes})

    def recreate(self, ref: str) -> Json:
        """Throw its writable layer away and start again from the image: {"Id", "Name"}."""
        made: Json = self._wire.fetch("POST", f"/ireko/containers/{ref}/recreate")
        return made

    def promote(
        self,
        ref: str,
        path: str,
        *,
        disk_format: str = "",
        register: str = "",
        move: bool = False,
    ) -> Iterator[Json]:
        """Make a machine of it in a folder of the daemon's machine; lines of progress, {"aux": {"Path", "Files", …}} the last."""
        body = {"Path": path, "Format": disk_format, "Register": register, "Move": move}
        return self._wire.lines("POST", f"/ireko/containers/{ref}/promote", body=body)

    def wait(self, ref: str, *, condition: str = "not-running") -> Pending:
        """Register a wait; when this returns the daemon will not miss the end."""
        return Pending(self._wire.send("POST", f"/containers/{ref}/wait", query={"condition": condition}))

    def attach(self, ref: str, *, stdin: bool, stdout: bool, stderr: bool, logs: bool = False) -> Stream:
        """Its input and output; may be called before it starts."""
        query = {"stream": 1, "stdin": int(stdin), "stdout": int(stdout), "stderr": int(stderr), "logs": int(logs)}
        return self._wire.transport.upgrade(
            Request("POST", f"/containers/{ref}/attach", {name: str(value) for name, value in query.items()})
        )

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: str = "",
        since: str = "",
        until: str = "",
        timestamps: bool = False,
    ) -> Iterator[tuple[int, bytes]]:
        """What it wrote, as (stream, bytes); with `follow` also what it goes on to write."""
        query = {
            "stdout": 1, "stderr": 1, "follow": follow, "tail": tail, "since": since, "until": until, "timestamps": timestamps,
        }  # fmt: skip
        reply = self._wire.send("GET", f"/containers/{ref}/logs", query=query)
        if reply.header("Content-Type") == _RAW:
            return ((STDOUT, piece) for piece in reply.pieces())
        return demultiplexed(reply.pieces())

    def changes(self, ref: str) -> list[Json]:
        """What differs from the image: {"Path", "Kind"} with 0 modified, 1 added, 2 deleted."""
        return self._wire.fetch("GET", f"/containers/{ref}/changes") or []

    def top(self, ref: str, *, arguments: str = "") -> Json:
        """Its processes: {"Titles", "Processes"}."""
        found: Json = self._wire.fetch("GET", f"/containers/{ref}/top", query={"ps_args": arguments})
        return found

    def stats(self, ref: str, *, stream: bool) -> Iterator[Json]:
        """What it uses, one object a second or a single one."""
        return self._wire.lines("GET", f"/containers/{ref}/stats", query={"stream": "true" if stream else "false"})

    def stat_path(self, ref: str, path: str) -> Json:
        """What a path in it is: {"name", "size", "mode", "mtime", "linkTarget"}; mode has Go's bits."""
        reply = self._wire.send("HEAD", f"/containers/{ref}/archive", query={"path": path})
        reply.close()
        return _path_stat(reply)

    def read_archive(self, ref: str, path: str) -> tuple[Json, Iterator[bytes]]:
        """A path in it as a tar stream, with what `stat_path` tells."""
        reply = self._wire.send("GET", f"/containers/{ref}/archive", query={"path": path})
        return _path_stat(reply), reply.pieces()

    def write_archive(self, ref: str, path: str, pieces: Iterable[bytes], *, keep_owners: bool = False) -> None:
        """Unpack a tar stream in a folder of it."""
        query = {"path": path, "noOverwriteDirNonDir": "true", "copyUIDGID": keep_owners}
        self._wire.fetch("PUT", f"/containers/{ref}/archive", query=query, body=iter(pieces))

    def commit(
        self, ref: str, *, repository: str = "", tag: str = "", comment: str = "", author: str = "", changes: Sequence[str] = (),
        pause: bool = True,
    ) -> Json:  # fmt: skip
        """Make its writable layer an image's top layer: {"Id"}."""
        query = {
            "container": ref, "repo": repository, "tag": tag, "comment": comment, "author": author,
            "pause": "true" if pause else "false", "changes": "\n".join(changes),
        }  # fmt: skip
        made: Json = self._wire.fetch("POST", "/commit", query=query, body={})
        return made

    def prune(self, *, where: Sequence[str] = ()) -> Json:
        """Delete every container that does not run: {"ContainersDeleted", "SpaceReclaimed"}."""
        gone: Json = self._wire.fetch("POST", "/containers/prune", query={"filters": filters(where)})
        return gone

    def create_exec(self, ref: str, config: Json) -> str:
        """Prepare a command in a running container, from a body of `POST …/exec`; its id."""
        made: Any = self._wire.fetch("POST", f"/containers/{ref}/exec", body=config)
        return str(made["Id"])

    def start_exec(self, identifier: str, config: Json) -> Stream:
        """Start a prepared command and be attached to it."""
        body = json.dumps({**config, "Detach": False}).encode()
        request = Request("POST", f"/exec/{identifier}/start", body=body, headers={"Content-Type": "application/json"})
        return self._wire.transport.upgrade(request)

    def start_exec_detached(self, identifier: str, config: Json) -> None:
        """Start a prepared command and leave it to itself."""
        self._wire.fetch("POST", f"/exec/{identifier}/start", body={**config, "Detach": True})

    def inspect_exec(self, identifier: str) -> Json:
        """How a command stands: {"Running", "ExitCode", …}."""
        found: Json = self._wire.fetch("GET", f"/exec/{identifier}/json")
        return found

    def resize_exec(self, identifier: str, *, rows: int, columns: int) -> None:
        """Tell a command's terminal how large it is."""
        self._wire.fetch("POST", f"/exec/{identifier}/resize", query={"h": rows, "w": columns})


def _path_stat(reply: Reply) -> Json:
    import base64

    found: Json = json.loads(base64.b64decode(reply.header("X-Docker-Container-Path-Stat")))
    return found
