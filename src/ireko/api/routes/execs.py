"""Further commands in a container that runs."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ireko.api.answers import empty_answer, json_answer
from ireko.api.call import Call
from ireko.api.connect import connect
from ireko.api.decode.bodies import ExecBody, ExecStartBody, size, words
from ireko.api.router import Route
from ireko.drivers.base import Command, Stream
from ireko.engine.execs import Exec

_DEFAULT_SIZE = (24, 80)


async def create(call: Call, ref: str) -> web.StreamResponse:
    """`docker exec`, its first half."""
    body = await call.body(ExecBody)
    command = Command(
        argv=words(body.cmd),
        environment=tuple(body.env or ()),
        workdir=body.working_dir or "",
        user=body.user or "",
        tty=bool(body.tty),
        size=size(body.console_size) or _DEFAULT_SIZE,
    )
    exec_ = call.engine.execs.create(
        ref,
        command,
        open_input=bool(body.attach_stdin),
        open_output=bool(body.attach_stdout or body.attach_stderr),
    )
    return json_answer({"Id": exec_.id}, status=201)


async def start(call: Call, ref: str) -> web.StreamResponse:
    """`docker exec`, its second half."""
    body = await call.body(ExecStartBody)
    exec_ = call.engine.execs.get(ref)
    attachment = await call.engine.execs.start(ref, detach=bool(body.detach), size=size(body.console_size))
    if attachment is None:
        return empty_answer(200)
    return await connect(
        call,
        attachment,
        takes_input=exec_.open_input,
        streams=set(Stream) if exec_.open_output else set(),
        multiplexed=not exec_.command.tty,
    )


async def resize(call: Call, ref: str) -> web.StreamResponse:
    """Tell the command's terminal its size."""
    await call.engine.execs.resize(ref, rows=call.query.size("h"), columns=call.query.size("w"))
    return empty_answer(200)


async def inspect(call: Call, ref: str) -> web.StreamResponse:
    """How the command stands."""
    return json_answer(_inspection(call.engine.execs.get(ref)))


def _inspection(exec_: Exec) -> dict[str, Any]:
    command = exec_.command
    return {
        "ID": exec_.id,
        "Running": exec_.running,
        "ExitCode": exec_.exit_code,
        "ProcessConfig": {
            "tty": command.tty,
            "entrypoint": command.argv[0],
            "arguments": list(command.argv[1:]),
            "privileged": False,
            "user": command.user,
        },
        "OpenStdin": exec_.open_input,
        "OpenStderr": exec_.open_output,
        "OpenStdout": exec_.open_output,
        "CanRemove": not exec_.running,
        "ContainerID": exec_.container_id,
        "DetachKeys": "",
        "Pid": 0,
    }


ROUTES = (
    Route("POST", "/containers/{ref}/exec", create),
    Route("POST", "/exec/{ref}/start", start, lasting=True),
    Route("POST", "/exec/{ref}/resize", resize),
    Route("GET", "/exec/{ref}/json", inspect),
)
