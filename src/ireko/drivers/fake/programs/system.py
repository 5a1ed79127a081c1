"""Programs that ask about the system and its processes."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable

from ireko.drivers.fake.process import SIGNALS, TERM, Process, Program
from ireko.drivers.fake.programs.options import options


async def true(process: Process) -> int:
    """Nothing, successfully."""
    del process
    return 0


async def false(process: Process) -> int:
    """Nothing, without success."""
    del process
    return 1


async def sleep(process: Process) -> int:
    """Seconds, with an m, h or d behind them minutes, hours or days."""
    text = process.argv[1] if len(process.argv) > 1 else ""
    if text not in {"infinity", "inf"}:
        try:
            seconds = float(text.rstrip("smhd")) * {"m": 60, "h": 3600, "d": 86400}.get(text[-1:], 1)
        except ValueError:
            await process.complain(f"sleep: invalid number '{text}'")
            return 1
        await asyncio.sleep(seconds)
        await process.system.going.wait()
        return 0
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def env(process: Process) -> int:
    """The environment, or a program in another one (NAME=value … PROGRAM)."""
    words = list(process.argv[1:])
    environment = dict(process.environment)
    while words and "=" in words[0]:
        name, _, text = words.pop(0).partition("=")
        environment[name] = text
    if words:
        return await (await process.child(words, environment=environment, streams=process.streams)).wait()
    for name, text in environment.items():
        await process.print(f"{name}={text}")
    return 0


async def id_(process: Process) -> int:
    """Who it runs as: -u, -g, -un."""
    letters, _ = options(process)
    user = process.user
    if "u" in letters:
        await process.print(user.name if "n" in letters else str(user.uid))
    elif "g" in letters:
        await process.print(str(user.gid))
    else:
        await process.print(f"uid={user.uid}({user.name}) gid={user.gid}")
    return 0


async def whoami(process: Process) -> int:
    """The user's name."""
    await process.print(process.user.name)
    return 0


async def pwd(process: Process) -> int:
    """The working directory."""
    await process.print(process.workdir)
    return 0


async def hostname(process: Process) -> int:
    """The host name."""
    await process.print(process.system.hostname)
    return 0


async def uname(process: Process) -> int:
    """What system this is; -n is the host name, -r the release."""
    letters, _ = options(process)
    await process.print(process.system.hostname if "n" in letters else "0-fake" if "r" in letters else "Linux")
    return 0


async def kill(process: Process) -> int:
    """Send processes a signal: kill [-N] PID…."""
    letters, words = options(process)
    number = int(letters) if letters.isdigit() else SIGNALS.get(letters.removeprefix("SIG"), TERM)
    for word in words:
        target = process.system.processes.get(int(word))
        if target is None:
            await process.complain(f"kill: can't kill pid {word}: No such process")
            return 1
        target.signal(number)
    return 0


async def ps(process: Process) -> int:
    """Every process."""
    await process.print("PID   PPID  USER     TIME  COMMAND")
    await process.print("    1     0 root      0:00 init")
    for each in process.system.processes.values():
        await process.print(f"{each.pid:5} {each.parent:5} {each.user.name:8} 0:00  {' '.join(each.argv)}")
    return 0


async def stty(process: Process) -> int:
    """Its terminal: size, echo, -echo."""
    terminal = process.streams.terminal
    if terminal is None:
        await process.complain("stty: standard input: Not a tty")
        return 1
    match process.argv[1:]:
        case ("size",):
            await process.print(f"{terminal.size[0]} {terminal.size[1]}")
        case ("echo",):
            terminal.echo = True
        case ("-echo",):
            terminal.echo = False
        case words:
            await process.complain(f"stty: invalid argument '{' '.join(words)}'")
            return 1
    return 0


async def tty(process: Process) -> int:
    """Whether it has a terminal."""
    await process.print("/dev/tty" if process.streams.terminal else "not a tty")
    return int(process.streams.terminal is None)


async def sync(process: Process) -> int:
    """Everything is written through already."""
    await process.system.step()
    return 0


async def poweroff(process: Process) -> int:
    """End the machine."""
    process.system.power_off()
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return] # it does not see its own end


async def test(process: Process) -> int:
    """-e -f -d -s -L PATH, -n -z TEXT, TEXT = TEXT, TEXT != TEXT, numbers by -eq -ne -lt -gt; ! before any of them."""
    words = list(process.argv[1:])
    if process.argv[0] == "[":
        words.pop()
    negated = words[:1] == ["!"]
    return int(_holds(process, words[negated:]) is negated)


def _holds(process: Process, words: list[str]) -> bool:
    match words:
        case ["-n", text] | [text]:
            return bool(text)
        case ["-z", text]:
            return not text
        case [kind, name]:
            return _is(process, kind, process.path(name))
        case [one, "=" | "==", other]:
            return one == other
        case [one, "!=", other]:
            return one != other
        case [one, sign, other] if sign in _COMPARISONS:
            return _COMPARISONS[sign](int(one), int(other))
    return False


_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-gt": operator.gt,
    "-le": operator.le,
    "-ge": operator.ge,
}


def _is(process: Process, kind: str, path: str) -> bool:
    files = process.system.files
    link = kind in {"-L", "-h"}
    if not files.exists(path, last=not link):
        return False
    node = files.get(path, last=not link)
    checks = {
        "-e": True,
        "-f": node.kind == "file",
        "-d": node.kind == "folder",
        "-s": node.size > 0,
        "-x": bool(node.mode & 0o111),
        "-L": node.kind == "link",
        "-h": node.kind == "link",
    }
    return checks.get(kind, False)


PROGRAMS: dict[str, Program] = {
    "true": true,
    "false": false,
    "sleep": sleep,
    "env": env,
    "id": id_,
    "whoami": whoami,
    "pwd": pwd,
    "hostname": hostname,
    "uname": uname,
    "kill": kill,
    "ps": ps,
    "stty": stty,
    "tty": tty,
    "sync": sync,
    "poweroff": poweroff,
    "test": test,
    "[": test,
}
