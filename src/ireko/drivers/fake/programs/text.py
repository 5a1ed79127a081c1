"""Programs that read and write streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ireko.drivers.fake.process import Process, Program
from ireko.drivers.fake.programs.options import options

_MUCH = b"y\n" * 1024


async def echo(process: Process) -> int:
    """Its arguments; -n leaves the newline out, -e knows \\n and \\t."""
    words = list(process.argv[1:])
    options = ""
    while words and words[0] in {"-n", "-e", "-en", "-ne"}:
        options += words.pop(0)
    text = " ".join(words)
    if "e" in options:
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    await process.streams.stdout.write((text + ("" if "n" in options else "\n")).encode(errors="surrogateescape"))
    return 0


async def printf(process: Process) -> int:
    """A format with %s, %d, \\n and \\t."""
    _, text, *words = process.argv
    for word in words:
        text = text.replace("%d" if "%s" not in text else "%s", word, 1)
    text = text.replace("\\n", "\n").replace("\\t", "\t").replace("%%", "%")
    await process.streams.stdout.write(text.encode(errors="surrogateescape"))
    return 0


async def _pieces(process: Process, names: list[str]) -> AsyncIterator[bytes]:
    for name in names or ["-"]:
        if name != "-":
            yield process.system.files.read(process.path(name))
            continue
        while data := await process.streams.stdin.piece():
            yield data


async def cat(process: Process) -> int:
    """Files, or the standard input."""
    code = 0
    for name in options(process)[1] or ["-"]:
        try:
            async for data in _pieces(process, [name]):
                await process.system.step()
                await process.streams.stdout.write(data)
        except FileNotFoundError:
            await process.complain(f"cat: can't open '{name}': No such file or directory")
            code = 1
    return code


async def tee(process: Process) -> int:
    """The standard input to files and to the standard output."""
    letters, names = options(process)
    files = process.system.files
    for name in names:
        files.write(process.path(name), b"", append="a" in letters)
    async for data in _pieces(process, []):
        await process.streams.stdout.write(data)
        for name in names:
            files.write(process.path(name), data, append=True)
    return 0


async def wc(process: Process) -> int:
    """Counts: -c bytes, -l lines."""
    letters, names = options(process)
    data = b"".join([piece async for piece in _pieces(process, names)])
    counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
    await process.print(" ".join(str(count) for letter, count in counts.items() if letter in (letters or "lwc")))
    return 0


async def head(process: Process) -> int:
    """The first lines (-n N) or bytes (-c N)."""
    words = list(process.argv[1:])
    kind, count = "-n", 10
    if words and words[0] in {"-n", "-c"}:
        kind, count, words = words[0], int(words[1]), words[2:]
    data = b""
    async for piece in _pieces(process, words):
        data += piece
        if (len(data) if kind == "-c" else data.count(b"\n")) >= count:
            break
    kept = data[:count] if kind == "-c" else b"".join(data.splitlines(keepends=True)[:count])
    await process.streams.stdout.write(kept)
    return 0


async def tr(process: Process) -> int:
    """Letters for letters; ranges as in a-z."""
    letters, words = options(process)
    source = _letters(words[0])
    target = _letters(words[1]) if len(words) > 1 else ""
    async for data in _pieces(process, []):
        text = data.decode(errors="surrogateescape")
        if "d" in letters:
            text = "".join(letter for letter in text if letter not in source)
        else:
            text = text.translate(dict(zip(map(ord, source), target.ljust(len(source), target[-1]), strict=False)))
        await process.streams.stdout.write(text.encode(errors="surrogateescape"))
    return 0


def _letters(text: str) -> str:
    if len(text) == 3 and text[1] == "-":
        return "".join(chr(code) for code in range(ord(text[0]), ord(text[2]) + 1))
    return text.replace("\\n", "\n")


async def yes(process: Process) -> int:
    """For ever."""
    while True:
        await process.system.step()
        await process.streams.stdout.write(_MUCH)


PROGRAMS: dict[str, Program] = {
    "echo": echo,
    "printf": printf,
    "cat": cat,
    "tee": tee,
    "wc": wc,
    "head": head,
    "tr": tr,
    "yes": yes,
}
