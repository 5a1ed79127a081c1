"""What the toy guest's shell does itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ireko.drivers.fake.process import NOT_FOUND, SIGNALS, Streams
from ireko.drivers.fake.sh import parser

if TYPE_CHECKING:
    from ireko.drivers.fake.sh.interpreter import Shell


class Exit(Exception):
    """The shell is to end."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def _exit(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    raise Exit(int(words[0]) & 0xFF if words else shell.status)


async def _cd(shell: Shell, words: list[str], streams: Streams) -> int:
    target = shell.process.path(words[0] if words else shell.value("HOME") or "/")
    if not shell.process.system.files.is_folder(target):
        await streams.stderr.write(f"{shell.name}: cd: can't cd to {target}\n".encode())
        return 1
    shell.process.workdir = shell.process.system.files.resolve(target)
    return 0


async def _export(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    for each in words:
        name, equals, text = each.partition("=")
        shell.variables[name] = text if equals else shell.value(name)
        shell.exported[name] = shell.variables[name]
    return 0


async def _unset(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    for name in words:
        shell.variables.pop(name, None)
        shell.exported.pop(name, None)
    return 0


async def _set(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    if words[:1] == ["--"]:
        shell.arguments = words[1:]
    return 0


async def _shift(shell: Shell, words: list[str], streams: Streams) -> int:
    del words, streams
    shell.arguments = shell.arguments[1:]
    return 0


async def _read(shell: Shell, words: list[str], streams: Streams) -> int:
    line = (await streams.stdin.line()).decode(errors="surrogateescape")
    names = [word for word in words if word != "-r"] or ["REPLY"]
    parts = line.rstrip("\n").split(None, len(names) - 1)
    for name, text in zip(names, [*parts, *[""] * len(names)], strict=False):
        shell.variables[name] = text
    return 0 if line.endswith("\n") else 1


async def _trap(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    for name in words[1:]:
        number = int(name) if name.isdigit() else SIGNALS[name.upper().removeprefix("SIG")]
        if words[0] == "-":
            shell.process.traps.pop(number, None)
        else:
            shell.process.traps[number] = words[0]
    return 0


async def _wait(shell: Shell, words: list[str], streams: Streams) -> int:
    del streams
    chosen = [job for job in shell.jobs if not words or str(job.pid) in words]
    codes = [await job.wait() for job in chosen]
    return codes[-1] if words and codes else 0


async def _exec(shell: Shell, words: list[str], streams: Streams) -> int:
    if not words:
        shell.process.streams = streams
        return 0
    child = await shell.process.child(words, environment=shell.exported, streams=streams)
    raise Exit(await child.wait())


async def _eval(shell: Shell, words: list[str], streams: Streams) -> int:
    return await shell.script(parser.parse(" ".join(words)), streams)


async def _true(shell: Shell, words: list[str], streams: Streams) -> int:
    del words, streams
    return 0


async def _command_v(shell: Shell, words: list[str], streams: Streams) -> int:
    if words[:1] != ["-v"]:
        return await (await shell.process.child(words, environment=shell.exported, streams=streams)).wait()
    try:
        shell.process.system.find_program(words[1:], workdir=shell.process.workdir, path=shell.value("PATH"))
    except OSError:
        return NOT_FOUND
    await streams.stdout.write(f"{words[1]}\n".encode())
    return 0


BUILTINS: dict[str, Callable[[Shell, list[str], Streams], Awaitable[int]]] = {
    ":": _true,
    "exit": _exit,
    "cd": _cd,
    "export": _export,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "read": _read,
    "trap": _trap,
    "wait": _wait,
    "exec": _exec,
    "eval": _eval,
    "command": _command_v,
}
