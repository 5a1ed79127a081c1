"""The toy guest's sh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ireko.drivers.fake import syntax
from ireko.drivers.fake.process import INT, NOT_FOUND, SIGNALS, Process, Streams
from ireko.drivers.fake.streams import Input, Nowhere, Pipe, Sink
from ireko.drivers.fake.syntax import Chain, For, Group, If, Loop, Pipeline, Redirect, Script, Simple, Word


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def sh(process: Process) -> int:
    """`sh`, `sh -c SCRIPT [NAME ARGUMENT…]`, `sh FILE [ARGUMENT…]`; with a terminal it prompts."""
    _, *words = process.argv
    while words and words[0] in {"-e", "-l", "-i", "-s"}:
        words.pop(0)
    if words[:1] == ["-c"] and len(words) > 1:
        shell = Shell(process, name=words[2] if len(words) > 2 else "sh", arguments=words[3:])
        return await shell.run(words[1])
    if words:
        text = process.system.files.read(process.path(words[0])).decode(errors="surrogateescape")
        return await Shell(process, name=words[0], arguments=words[1:]).run(text)
    return await Shell(process).interact()


class Shell:
    """One shell: its variables, its last exit code."""

    def __init__(self, process: Process, *, name: str = "sh", arguments: list[str] | None = None) -> None:
        self._process = process
        self._name = name
        self._arguments = arguments or []
        self._exported = process.environment
        self._variables = dict(process.environment)
        self._status = 0
        self._jobs: list[Process] = []

    async def run(self, text: str) -> int:
        """Run a script to its end."""
        try:
            await self._script(syntax.parse(text), self._process.streams)
        except syntax.ShellSyntaxError as error:
            await self._process.complain(f"{self._name}: {error}")
            self._status = 2
        except _Exit as ending:
            self._status = ending.code
        return await self._leave()

    async def interact(self) -> int:
        """Run the lines of the standard input as they come."""
        terminal = self._process.streams.terminal
        if terminal is not None:
            self._process.traps[INT] = ""
        try:
            while text := await self._lines(prompt=terminal is not None):
                await self._line(text)
        except _Exit as ending:
            self._status = ending.code
        return await self._leave()

    async def _leave(self) -> int:
        if text := self._process.traps.pop(0, ""):
            status = self._status
            self._status = status
            return await self.run(text) or status
        return self._status

    async def _lines(self, *, prompt: bool) -> str:
        text = ""
        while True:
            if prompt:
                await self._process.streams.stderr.write(b"> " if text else b"# ")
            line = await self._process.streams.stdin.line()
            text += line.decode(errors="surrogateescape")
            try:
                syntax.parse(text)
            except syntax.Unfinished:
                if line:
                    continue
            except syntax.ShellSyntaxError:
                pass
            return text

    async def _line(self, text: str) -> None:
        try:
            await self._script(syntax.parse(text), self._process.streams)
        except syntax.ShellSyntaxError as error:
            await self._process.complain(f"{self._name}: {error}")
            self._status = 2

    async def _script(self, script: Script, streams: Streams) -> int:
        for chain in script.chains:
            await self._chain(chain, streams)
        return self._status

    async def _chain(self, chain: Chain, streams: Streams) -> None:
        if chain.background:
            await self._background(chain, streams)
            return
        for operator, pipeline in chain.links:
            if (operator == "&&" and self._status) or (operator == "||" and not self._status):
                continue
            self._status = await self._pipeline(pipeline, streams)
            await self._handle_signals(streams)

    async def _background(self, chain: Chain, streams: Streams) -> None:
        command = chain.links[0][1].commands[0]
        if len(chain.links) > 1 or len(chain.links[0][1].commands) > 1 or not isinstance(command, Simple):
            raise syntax.ShellSyntaxError("syntax error: this shell runs single programs in the background")
        words = await self._expand(command.words, streams)
        apart = replace(await self._redirected(command.redirects, streams), stdin=Input())
        job = await self._process.child(words, environment=self._exported, streams=apart)
        self._jobs.append(job)
        self._variables["!"] = str(job.pid)
        self._status = 0

    async def _handle_signals(self, streams: Streams) -> None:
        while self._process.caught:
            status = self._status
            await self._script(syntax.parse(self._process.traps[self._process.caught.pop(0)]), streams)
            self._status = status

    async def _pipeline(self, pipeline: Pipeline, streams: Streams) -> int:
        if len(pipeline.commands) == 1:
            status = await self._command(pipeline.commands[0], streams)
        else:
            status = await self._connected(pipeline.commands, streams)
        return int(not status) if pipeline.negated else status

    async def _connected(self, commands: tuple[syntax.Command, ...], streams: Streams) -> int:
        pipes = [Pipe() for _ in commands[1:]]
        inputs: list[Pipe | None] = [None, *pipes]
        outputs: list[Pipe | None] = [*pipes, None]

        async def part(command: syntax.Command, source: Pipe | None, target: Pipe | None) -> int:
            try:
                return await self._copy().alone(
                    command,
                    replace(
                        streams,
                        stdin=Input(source) if source else streams.stdin,
                        stdout=target or streams.stdout,
                        terminal=None if source or target else streams.terminal,
                    ),
                )
            finally:
                if target:
                    target.close()
                if source:
                    source.abandon()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part(*each)) for each in zip(commands, inputs, outputs, strict=True)]
        return tasks[-1].result()

    async def alone(self, command: syntax.Command, streams: Streams) -> int:
        """Run a command in a shell of its own."""
        try:
            return await self._command(command, streams)
        except _Exit as ending:
            return ending.code
        except BrokenPipeError:
            return 141

    async def _command(self, command: syntax.Command, streams: Streams) -> int:
        match command:
            case Simple():
                return await self._simple(command, streams)
            case If():
                return await self._if(command, streams)
            case Loop():
                return await self._loop(command, streams)
            case For():
                return await self._for(command, streams)
            case Group(body, apart):
                if apart:
                    return await self._copy().alone(Group(body), streams)
                return await self._script(body, streams)

    async def _if(self, command: If, streams: Streams) -> int:
        for condition, body in command.branches:
            if await self._script(condition, streams) == 0:
                return await self._script(body, streams)
        self._status = 0
        return await self._script(command.otherwise, streams)

    async def _loop(self, command: Loop, streams: Streams) -> int:
        status = 0
        while (await self._script(command.condition, streams) == 0) is not command.until:
            status = await self._script(command.body, streams)
            await self._process.system.step()
        return status

    async def _for(self, command: For, streams: Streams) -> int:
        self._status = 0
        for text in await self._expand(command.words, streams):
            self._variables[command.name] = text
            await self._script(command.body, streams)
        return self._status

    async def _simple(self, command: Simple, streams: Streams) -> int:
        assigned = {
            name: " ".join(await self._fields(value, streams, split=False)) for name, value in command.assignments
        }
        words = await self._expand(command.words, streams)
        try:
            streams = await self._redirected(command.redirects, streams)
        except OSError as error:
            await self._process.complain(f"{self._name}: can't open {error}")
            return 1
        if not words:
            self._variables.update(assigned)
            self._exported.update((name, text) for name, text in assigned.items() if name in self._exported)
            return self._status if command.words else 0
        if builtin := _BUILTINS.get(words[0]):
            await self._process.system.step()
            return await builtin(self, words[1:], streams)
        child = await self._process.child(words, environment={**self._exported, **assigned}, streams=streams)
        return await child.wait()

    async def _redirected(self, redirects: tuple[Redirect, ...], streams: Streams) -> Streams:
        for redirect in redirects:
            [target] = await self._fields(redirect.target, streams, split=False)
            if redirect.operator == "<":
                streams = replace(streams, stdin=self._opened(target), terminal=None)
                continue
            if redirect.operator == ">&":
                sink: Sink = streams.stderr if target == "2" else streams.stdout
            else:
                sink = self._written(target, append=redirect.operator == ">>")
            streams = replace(streams, stderr=sink) if redirect.number == 2 else replace(streams, stdout=sink)
        return streams

    def _opened(self, target: str) -> Input:
        pipe = Pipe()
        source = Input(pipe)
        if target != "/dev/null":
            source.give_back(self._process.system.files.read(self._process.path(target)))
        pipe.close()
        return source

    def _written(self, target: str, *, append: bool) -> Sink:
        streams = self._process.streams
        if target in {"/dev/null", "/dev/stdout", "/dev/stderr"}:
            return {"/dev/stdout": streams.stdout, "/dev/stderr": streams.stderr}.get(target, Nowhere())
        path = self._process.path(target)
        self._process.system.files.write(path, b"", append=append)
        return _WrittenFile(self._process, path)

    async def _expand(self, words: tuple[Word, ...], streams: Streams) -> list[str]:
        return [text for word in words for text in await self._fields(word, streams)]

    async def _fields(self, word: Word, streams: Streams, *, split: bool = True) -> list[str]:
        """The words that one becomes: none when nothing is left of an unquoted one, several when its value has blanks."""
        found: list[str] = [""]
        certain = not split
        for piece in word.pieces:
            if piece.variable == "@":
                found = [*found[:-1], found[-1] + " ".join(self._arguments[:1]), *self._arguments[1:]]
                certain = certain or bool(self._arguments)
                continue
            text = piece.text
            if piece.variable is not None:
                text = self._value(piece.variable)
            elif piece.command is not None:
                text = await self._output(piece.command, streams)
            if piece.quoted or not split or (piece.variable is None and piece.command is None):
                found[-1] += text
                certain = certain or piece.quoted or bool(text)
                continue
            parts = text.split()
            found = [*found[:-1], found[-1] + "".join(parts[:1]), *parts[1:]]
            certain = certain or bool(parts)
        return found if certain else []

    def _value(self, name: str) -> str:
        for operator in (":-", ":=", ":+", "-", "+"):
            variable, found, default = name.partition(operator)
            if found and variable:
                value = self._value(variable)
                return (default if value else "") if "+" in operator else value or default
        special = {
            "?": str(self._status),
            "$": str(self._process.pid),
            "#": str(len(self._arguments)),
            "*": " ".join(self._arguments),
            "0": self._name,
        }
        if name in special:
            return special[name]
        if name.isdigit():
            return (self._arguments[int(name) - 1 :] or [""])[0]
        return self._variables.get(name, "")

    async def _output(self, text: str, streams: Streams) -> str:
        pipe = _Collected()
        shell = self._copy()
        self._status = await shell.alone(Group(syntax.parse(text)), replace(streams, stdout=pipe, terminal=None))
        return pipe.data.decode(errors="surrogateescape").rstrip("\n")

    def _copy(self) -> Shell:
        shell = Shell(self._process, name=self._name, arguments=list(self._arguments))
        shell._variables = dict(self._variables)
        shell._exported = dict(self._exported)
        shell._status = self._status
        return shell

    async def _exit(self, words: list[str], streams: Streams) -> int:
        del streams
        raise _Exit(int(words[0]) & 0xFF if words else self._status)

    async def _cd(self, words: list[str], streams: Streams) -> int:
        target = self._process.path(words[0] if words else self._value("HOME") or "/")
        if not self._process.system.files.is_folder(target):
            await streams.stderr.write(f"{self._name}: cd: can't cd to {target}\n".encode())
            return 1
        self._process.workdir = self._process.system.files.resolve(target)
        return 0

    async def _export(self, words: list[str], streams: Streams) -> int:
        del streams
        for each in words:
            name, equals, text = each.partition("=")
            self._variables[name] = text if equals else self._value(name)
            self._exported[name] = self._variables[name]
        return 0

    async def _unset(self, words: list[str], streams: Streams) -> int:
        del streams
        for name in words:
            self._variables.pop(name, None)
            self._exported.pop(name, None)
        return 0

    async def _set(self, words: list[str], streams: Streams) -> int:
        del streams
        if words[:1] == ["--"]:
            self._arguments = words[1:]
        return 0

    async def _shift(self, words: list[str], streams: Streams) -> int:
        del words, streams
        self._arguments = self._arguments[1:]
        return 0

    async def _read(self, words: list[str], streams: Streams) -> int:
        line = (await streams.stdin.line()).decode(errors="surrogateescape")
        names = [word for word in words if word != "-r"] or ["REPLY"]
        parts = line.rstrip("\n").split(None, len(names) - 1)
        for name, text in zip(names, [*parts, *[""] * len(names)], strict=False):
            self._variables[name] = text
        return 0 if line.endswith("\n") else 1

    async def _trap(self, words: list[str], streams: Streams) -> int:
        del streams
        for name in words[1:]:
            number = int(name) if name.isdigit() else SIGNALS[name.upper().removeprefix("SIG")]
            if words[0] == "-":
                self._process.traps.pop(number, None)
            else:
                self._process.traps[number] = words[0]
        return 0

    async def _wait(self, words: list[str], streams: Streams) -> int:
        del streams
        chosen = [job for job in self._jobs if not words or str(job.pid) in words]
        codes = [await job.wait() for job in chosen]
        return codes[-1] if words and codes else 0

    async def _exec(self, words: list[str], streams: Streams) -> int:
        if not words:
            self._process.streams = streams
            return 0
        child = await self._process.child(words, environment=self._exported, streams=streams)
        raise _Exit(await child.wait())

    async def _eval(self, words: list[str], streams: Streams) -> int:
        return await self._script(syntax.parse(" ".join(words)), streams)

    async def _true(self, words: list[str], streams: Streams) -> int:
        del words, streams
        return 0

    async def _command_v(self, words: list[str], streams: Streams) -> int:
        if words[:1] != ["-v"]:
            return await (await self._process.child(words, environment=self._exported, streams=streams)).wait()
        try:
            self._process.system.find_program(words[1:], workdir=self._process.workdir, path=self._value("PATH"))
        except OSError:
            return NOT_FOUND
        await streams.stdout.write(f"{words[1]}\n".encode())
        return 0


_BUILTINS: dict[str, Callable[[Shell, list[str], Streams], Awaitable[int]]] = {
    ":": Shell._true,
    "exit": Shell._exit,
    "cd": Shell._cd,
    "export": Shell._export,
    "unset": Shell._unset,
    "set": Shell._set,
    "shift": Shell._shift,
    "read": Shell._read,
    "trap": Shell._trap,
    "wait": Shell._wait,
    "exec": Shell._exec,
    "eval": Shell._eval,
    "command": Shell._command_v,
}


class _WrittenFile:
    def __init__(self, process: Process, path: str) -> None:
        self._process = process
        self._path = path

    async def write(self, data: bytes) -> None:
        self._process.system.files.write(self._path, data, append=True)


class _Collected:
    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data
