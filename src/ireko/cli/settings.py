"""What `run` and `create` take, as the body of `POST /containers/create`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ireko.cli.ports import bindings
from ireko.cli.units import parse_size, processors
from ireko.errors import InvalidInput

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_NANO = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options as click reads them; the names are docker's long ones."""

    attach: tuple[str, ...]
    cpus: float
    entrypoint: str | None
    env: tuple[str, ...]
    env_file: tuple[str, ...]
    expose: tuple[str, ...]
    hostname: str
    interactive: bool
    label: tuple[str, ...]
    log_opt: tuple[str, ...]
    memory: str
    mount: tuple[str, ...]
    network: str
    publish: tuple[str, ...]
    publish_all: bool
    restart: str
    rm: bool
    stop_signal: str
    stop_timeout: int | None
    tty: bool
    user: str
    volume: tuple[str, ...]
    workdir: str

    def body(
        self, image: str, command: Sequence[str], *, detach: bool, console: tuple[int, int] | None
    ) -> dict[str, Any]:
        """The body for an image and a command (none: the image's own). Raises InvalidInput."""
        ports = bindings(self.publish)
        exposed = {*ports, *(key for word in self.expose for key in bindings((word,)))}
        streams = set() if detach else self.streams
        binds, anonymous = _volumes(self.volume)
        return {
            "Image": image,
            "Cmd": list(command) or None,
            "Entrypoint": None if self.entrypoint is None else [self.entrypoint] if self.entrypoint else [""],
            "Env": environment(self.env, self.env_file),
            "Labels": pairs(self.label),
            "WorkingDir": self.workdir,
            "User": self.user,
            "Hostname": self.hostname,
            "Tty": self.tty,
            "OpenStdin": self.interactive,
            "StdinOnce": self.interactive and "stdin" in streams,
            "AttachStdin": "stdin" in streams,
            "AttachStdout": "stdout" in streams,
            "AttachStderr": "stderr" in streams,
            "ExposedPorts": {key: {} for key in sorted(exposed)},
            "Volumes": anonymous,
            **({"StopSignal": self.stop_signal} if self.stop_signal else {}),
            **({"StopTimeout": self.stop_timeout} if self.stop_timeout is not None else {}),
            "HostConfig": {
                "AutoRemove": self.rm,
                "Binds": binds,
                "ConsoleSize": list(console or (0, 0)),
                "LogConfig": {"Type": "", "Config": pairs(self.log_opt)},
                "Memory": parse_size(self.memory) if self.memory else 0,
                "Mounts": [_mount(word) for word in self.mount],
                "NanoCpus": round(self.cpus * _NANO),
                "NetworkMode": self.network,
                "PortBindings": ports,
                "PublishAllPorts": self.publish_all,
                "RestartPolicy": _restart(self.restart),
            },
        }

    @property
    def streams(self) -> set[str]:
        """The streams that are connected to this process unless it is detached."""
        if unknown := set(map(str.lower, self.attach)) - {"stdin", "stdout", "stderr"}:
            raise InvalidInput(f'invalid stream "{unknown.pop()}" for --attach', hint="stdin, stdout or stderr")
        if self.attach:
            return set(map(str.lower, self.attach))
        return {"stdout", "stderr", *(["stdin"] if self.interactive else [])}


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb everything that Settings holds."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def taken(values: dict[str, Any]) -> Settings:
    """Take the settings out of what click read; what is left is the verb's own."""
    return Settings(**{name: values.pop(name) for name in Settings.__dataclass_fields__})


_OPTIONS = (
    click.option("-a", "--attach", multiple=True, metavar="STREAM", help="Connect stdin, stdout or stderr only."),
    click.option("--cpus", type=float, callback=processors, default=0.0, metavar="N", help="The number of processors."),
    click.option("--entrypoint", default=None, metavar="PROGRAM", help="Run this instead of the image's entrypoint."),
    click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable of the environment."),
    click.option("--env-file", multiple=True, metavar="FILE", help="Read variables from a file."),
    click.option("--expose", multiple=True, metavar="PORT", help="Say that a port is meant to be published."),
    click.option("-h", "--hostname", default="", metavar="NAME", help="The host name inside."),
    click.option("-i", "--interactive", is_flag=True, help="Keep its input open and send it this one."),
    click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Attach a label."),
    click.option("--log-opt", multiple=True, metavar="KEY=VALUE", help="How much output is kept: max-size, max-file."),
    click.option("-m", "--memory", default="", metavar="SIZE", help="The memory, like 512m or 2g."),
    click.option("--mount", multiple=True, metavar="SPEC", help="A mount: type=volume,source=data,target=/d."),
    click.option("--network", "--net", default="default", metavar="NAME", help="The network; none cuts it off."),
    click.option("-p", "--publish", multiple=True, metavar="[IP:]HOST:GUEST", help="Publish a port on this host."),
    click.option("-P", "--publish-all", is_flag=True, help="Publish all exposed ports on free ports of this host."),
    click.option("--restart", default="no", metavar="POLICY", help="no, on-failure[:N], always or unless-stopped."),
    click.option("--rm", is_flag=True, help="Remove it when it ends."),
    click.option("--stop-signal", default="", metavar="NAME", help="The signal that `stop` sends."),
    click.option("--stop-timeout", type=int, default=None, metavar="SECONDS", help="The grace period of `stop`."),
    click.option("-t", "--tty", is_flag=True, help="Give it a terminal."),
    click.option("-u", "--user", default="", metavar="USER[:GROUP]", help="Who runs the command."),
    click.option(
        "-v", "--volume", multiple=True, metavar="SOURCE:TARGET[:ro]", help="A folder of this host or a volume."
    ),
    click.option("-w", "--workdir", default="", metavar="PATH", help="The folder the command starts in."),
)


def environment(words: Iterable[str], files: Iterable[str] = (), *, ours: Mapping[str, str] = os.environ) -> list[str]:
    """NAME=VALUE from files, then from words; a name alone takes this process's value and is dropped when it has none."""
    lines = [line for name in files for line in _env_lines(name)]
    found = [
        word if "=" in word else f"{word}={ours[word]}" for word in [*lines, *words] if "=" in word or word in ours
    ]
    for word in found:
        if word.startswith("="):
            raise InvalidInput(f'invalid environment variable: "{word}"')
    return found


def _env_lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - pathlib takes 10 ms to import
            lines = file.read().splitlines()
    except OSError as error:
        raise InvalidInput(f'can\'t read the file "{path}": {error.strerror}') from error
    return [line.lstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pairs(words: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE words as a mapping; a key alone has an empty value."""
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _volumes(words: Iterable[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Binds, with relative folders made absolute, and unnamed volumes."""
    binds: list[str] = []
    unnamed: dict[str, dict[str, str]] = {}
    for word in words:
        source, rest = _split_source(word)
        if not rest:
            unnamed[source] = {}
        elif source.startswith((".", "~")):
            binds.append(f"{os.path.realpath(os.path.expanduser(source))}:{rest}")  # noqa: PTH111 - as above
        else:
            binds.append(word)
    return binds, unnamed


def _split_source(word: str) -> tuple[str, str]:
    start = 2 if _DRIVE.match(word) else 0
    source, _, rest = word[start:].partition(":")
    return word[:start] + source, rest


def _mount(word: str) -> dict[str, Any]:
    values = pairs(word.split(","))
    known = {"type", "source", "src", "target", "destination", "dst", "readonly", "ro"}
    if unknown := sorted(values.keys() - known):
        raise InvalidInput(f'invalid argument "{word}" for --mount: unknown option "{unknown[0]}"')
    target = values.get("target") or values.get("destination") or values.get("dst")
    if not target:
        raise InvalidInput(f'invalid argument "{word}" for --mount: target is required')
    read_only = values.get("readonly", values.get("ro", "false"))
    return {
        "Type": values.get("type", "volume"),
        "Source": values.get("source") or values.get("src") or "",
        "Target": target,
        "ReadOnly": read_only.lower() in {"", "true", "1"},
    }


def _restart(word: str) -> dict[str, Any]:
    name, colon, count = word.partition(":")
    if name not in {"no", "always", "on-failure", "unless-stopped"} or (colon and not count.isdigit()):
        raise InvalidInput(f'invalid restart policy "{word}"', hint="no, on-failure[:N], always or unless-stopped")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}
