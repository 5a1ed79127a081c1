"""The toy guest's sh."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ireko.drivers.fake.process import INT, PIPE, Process, Streams
from ireko.drivers.fake.sh import parser, syntax
from ireko.drivers.fake.sh.builtins import BUILTINS, Exit
from ireko.drivers.fake.sh.syntax import Chain, For, Group, If, Loop, Pipeline, Redirect, Script, Simple, Word
from ireko.drivers.fake.streams import Input, Nowhere, Pipe, Sink


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
        self.process = process
        self.name = name
        self.arguments = arguments or []
        self.exported = process.environment
        self.variables = dict(process.environment)
        self.status = 0
        self.jobs: list[Process] = []

    async def run(self, text: str) -> int:
        """Run a script to its end."""
        try:
            await self.script(parser.parse(text), self.process.streams)
        except syntax.ShellSyntaxError as error:
            await self.process.complain(f"{self.name}: {error}")
            self.status = 2
        except Exit as ending:
            self.status = ending.code
        return await self._leave()

    async def interact(self) -> int:
        """Run the lines of the standard input as they come."""
        terminal = self.process.streams.terminal
        if terminal is not None:
            self.process.traps[INT] = ""
        try:
            while text := await self._lines(prompt=terminal is not None):
                await self._line(text)
        except Exit as ending:
            self.status = ending.code
        return await self._leave()

    async def _leave(self) -> int:
        status = self.status
        if text := self.process.traps.pop(0, ""):
            return await self.run(text) or status
        return status

    async def _lines(self, *, prompt: bool) -> str:
        text = ""
        while True:
            if prompt:
                await self.process.streams.stderr.write(b"> " if text else b"# ")
            line = await self.process.streams.stdin.line()
            text += line.decode(errors="surrogateescape")
            try:
                parser.parse(text)
            except syntax.Unfinished:
                if line:
                    continue
            except syntax.ShellSyntaxError:
                pass
            return text

    async def _line(self, text: str) -> None:
        try:
            await self.script(parser.parse(text), self.process.streams)
        except syntax.ShellSyntaxError as error:
            await self.process.complain(f"{self.name}: {error}")
            self.status = 2

    async def script(self, script: Script, streams: Streams) -> int:
        """Run commands one after the other; the last one's exit code."""
        for chain in script.chains:
            await self._chain(chain, streams)
        return self.status

    async def _chain(self, chain: Chain, streams: Streams) -> None:
        if chain.background:
            await self._background(chain, streams)
            return
        for operator, pipeline in chain.links:
            if (operator == "&&" and self.status) or (operator == "||" and not self.status):
                continue
            self.status = await self._pipeline(pipeline, streams)
            await self._handle_signals(streams)

    async def _background(self, chain: Chain, streams: Streams) -> None:
        command = chain.links[0][1].commands[0]
        if len(chain.links) > 1 or len(chain.links[0][1].commands) > 1 or not isinstance(command, Simple):
            raise syntax.ShellSyntaxError("syntax error: this shell runs single programs in the background")
        words = await self._expand(command.words, streams)
        apart = replace(await self._redirected(command.redirects, streams), stdin=Input())
        job = await self.process.child(words, environment=self.exported, streams=apart)
        self.jobs.append(job)
        self.variables["!"] = str(job.pid)
        self.status = 0

    async def _handle_signals(self, streams: Streams) -> None:
        while self.process.caught:
            status = self.status
            await self.script(parser.parse(self.process.traps[self.process.caught.pop(0)]), streams)
            self.status = status

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
        workdir = self.process.workdir
        try:
            return await self._command(command, streams)
        except Exit as ending:
            return ending.code
        except BrokenPipeError:
            return 128 + PIPE
        finally:
            self.process.workdir = workdir

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
                return await self.script(body, streams)

    async def _if(self, command: If, streams: Streams) -> int:
        for condition, body in command.branches:
            if await self.script(condition, streams) == 0:
                return await self.script(body, streams)
        self.status = 0
        return await self.script(command.otherwise, streams)

    async def _loop(self, command: Loop, streams: Streams) -> int:
        status = 0
        while (await self.script(command.condition, streams) == 0) is not command.until:
            status = await self.script(command.body, streams)
            await self.process.system.step()
        return status

    async def _for(self, command: For, streams: Streams) -> int:
        self.status = 0
        for text in await self._expand(command.words, streams):
            self.variables[command.name] = text
            await self.script(command.body, streams)
        return self.status

    async def _simple(self, command: Simple, streams: Streams) -> int:
        assigned = {
            name: " ".join(await self._fields(value, streams, split=False)) for name, value in command.assignments
        }
        words = await self._expand(command.words, streams)
        try:
            streams = await self._redirected(command.redirects, streams)
        except OSError as error:
            await self.process.complain(f"{self.name}: can't open {error}")
            return 1
        if not words:
            self.variables.update(assigned)
            self.exported.update((name, text) for name, text in assigned.items() if name in self.exported)
            return self.status if command.words else 0
        if builtin := BUILTINS.get(words[0]):
            await self.process.system.step()
            return await builtin(self, words[1:], streams)
        child = await self.process.child(words, environment={**self.exported, **assigned}, streams=streams)
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
                sink = self._written(target, streams, append=redirect.operator == ">>")
            streams = replace(streams, stderr=sink) if redirect.number == 2 else replace(streams, stdout=sink)
        return streams

    def _opened(self, target: str) -> Input:
        pipe = Pipe()
        source = Input(pipe)
        if target != "/dev/null":
            source.give_back(self.process.system.files.read(self.process.path(target)))
        pipe.close()
        return source

    def _written(self, target: str, streams: Streams, *, append: bool) -> Sink:
        if target in {"/dev/null", "/dev/stdout", "/dev/stderr"}:
            return {"/dev/stdout": streams.stdout, "/dev/stderr": streams.stderr}.get(target, Nowhere())
        path = self.process.path(target)
        self.process.system.files.write(path, b"", append=append)
        return _WrittenFile(self.process, path)

    async def _expand(self, words: tuple[Word, ...], streams: Streams) -> list[str]:
        return [text for word in words for text in await self._fields(word, streams)]

    async def _fields(self, word: Word, streams: Streams, *, split: bool = True) -> list[str]:
        """The words that one becomes: none when nothing is left of an unquoted one, several when its value has blanks."""
        found: list[str] = [""]
        certain = not split
        for piece in word.pieces:
            if piece.variable == "@":
                found = [*found[:-1], found[-1] + " ".join(self.arguments[:1]), *self.arguments[1:]]
                certain = certain or bool(self.arguments)
                continue
            text = piece.text
            if piece.variable is not None:
                text = self.value(piece.variable)
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

    def value(self, name: str) -> str:
        """What stands for $NAME or ${NAME:-default}; nothing when it is not set."""
        for operator in (":-", ":=", ":+", "-", "+"):
            variable, found, default = name.partition(operator)
            if found and variable:
                value = self.value(variable)
                return (default if value else "") if "+" in operator else value or default
        special = {
            "?": str(self.status),
            "$": str(self.process.pid),
            "#": str(len(self.arguments)),
            "*": " ".join(self.arguments),
            "0": self.name,
        }
        if name in special:
            return special[name]
        if name.isdigit():
            return (self.arguments[int(name) - 1 :] or [""])[0]
        return self.variables.get(name, "")

    async def _output(self, text: str, streams: Streams) -> str:
        pipe = _Collected()
        shell = self._copy()
        self.status = await shell.alone(Group(parser.parse(text)), replace(streams, stdout=pipe, terminal=None))
        return pipe.data.decode(errors="surrogateescape").rstrip("\n")

    def _copy(self) -> Shell:
        shell = Shell(self.process, name=self.name, arguments=list(self.arguments))
        shell.variables = dict(self.variables)
        shell.exported = dict(self.exported)
        shell.status = self.status
        return shell


class _WrittenFile:
    """A file that output goes to."""

    def __init__(self, process: Process, path: str) -> None:
        self._process = process
        self._path = path

    async def write(self, data: bytes) -> None:
        self._process.system.files.write(self._path, data, append=True)


class _Collected:
    """The output of $(…)."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data
